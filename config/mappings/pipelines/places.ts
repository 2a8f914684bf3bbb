/** A geo_point of two columns; where one of them is NULL there is no place. */
interface Place extends Readonly<Record<string, unknown>> {
  readonly latitude: string | null
  readonly longitude: string | null
}

export function transform({ latitude, longitude, ...place }: Place): object {
  if (latitude === null || longitude === null) return place
  return { ...place, location: { lat: Number(latitude), lon: Number(longitude) } }
}
