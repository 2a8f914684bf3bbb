/** What the example of mappings is tried with: places, and what can be asked of them. */
/** The tables of the example, with rows. */
export const placesTables = [
  'CREATE DATABASE travel CHARACTER SET utf8mb4',
  `CREATE TABLE travel.places (id BIGINT PRIMARY KEY, name_de VARCHAR(40), name_fr VARCHAR(40), tags SET('sea', 'art', 'food'),
     labels JSON, latitude DECIMAL(9,6), longitude DECIMAL(9,6), spot POINT, area POLYGON, opened DATE, seen_at DATETIME,
     checked_at TIMESTAMP NULL, country CHAR(2), KEY (country))`,
  'CREATE TABLE travel.countries (code CHAR(2) PRIMARY KEY, name VARCHAR(40))',
  'CREATE TABLE travel.reviews (id BIGINT PRIMARY KEY, place BIGINT, author VARCHAR(20), stars INT, KEY (place))',
  'CREATE TABLE travel.facts (id BIGINT PRIMARY KEY, place BIGINT, name VARCHAR(20), value VARCHAR(20), KEY (place))',
  "INSERT INTO travel.countries VALUES ('DE', 'Germany'), ('FR', 'France')",
  `INSERT INTO travel.places VALUES
     (1, 'das Haus am See', 'la maison du lac', 'sea,food', '["quiet", "old"]', 52.5, 13.4, POINT(13.4, 52.5),
      ST_GeomFromText('POLYGON((13 52, 14 52, 14 53, 13 53, 13 52))'), '1990-05-01', '2026-03-01 10:00:00',
      '2026-03-01 10:00:00', 'DE'),
     (2, 'das Museum', 'le musée', 'art', '[]', 48.85, 2.35, POINT(2.35, 48.85), NULL, '2001-01-01', NULL, NULL, 'FR'),
     (3, NULL, NULL, '', NULL, NULL, 7, NULL, NULL, NULL, NULL, NULL, NULL)`,
  "INSERT INTO travel.reviews VALUES (1, 1, 'ann', 5), (2, 1, 'bob', 1), (3, 2, 'ann', 1)",
  "INSERT INTO travel.facts VALUES (1, 1, 'height', '7'), (2, 2, 'height', '9'), (3, 2, 'price', '7')",
]

/** What is asked for, and the places that are found. */
export const placesQueries: readonly (readonly [object, readonly string[]])[] = [
  [{ match_all: {} }, ['1', '2', '3']],
  [{ match: { 'country.name': 'france' } }, ['2']],
  [nestedReview('ann', 5), ['1']],
  [nestedReview('bob', 5), []],
  [{ term: { 'facts.name': 'price' } }, ['2']],
  [{ term: { facts: '9' } }, ['2']],
  [{ terms: { tags: ['sea', 'food'] } }, ['1']],
  [{ term: { labels: 'old' } }, ['1']],
  [{ geo_distance: { distance: '50km', location: { lat: 48.8, lon: 2.3 } } }, ['2']],
  [{ geo_distance: { distance: '50km', spot: { lat: 52.4, lon: 13.3 } } }, ['1']],
  [{ range: { opened: { lt: '2000-01-01' } } }, ['1']],
  [{ range: { seen_at: { gte: '2026-03-01T09:59:59Z', lte: '2026-03-01T10:00:01Z' } } }, ['1']],
  [{ range: { checked_at: { gte: Date.UTC(2026, 2, 1, 9), format: 'epoch_millis' } } }, ['1']],
  [{ match: { name_de: 'Haus am' } }, ['1']],
  [{ match: { name_de: 'am' } }, []],
  [{ match: { name_fr: 'maison' } }, ['1']],
]

function nestedReview(author: string, stars: number): object {
  const filter = [{ match: { 'reviews.author': author } }, { term: { 'reviews.stars': stars } }]
  return { nested: { path: 'reviews', query: { bool: { filter } } } }
}
