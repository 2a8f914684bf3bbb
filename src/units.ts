/** Bytes. */
export const megabyte = 2 ** 20
export const gigabyte = 2 ** 30
