/** Of a password or token; what is longer is no credential of anybody. */
export const maxSecretBytes = 16 * 1024;
