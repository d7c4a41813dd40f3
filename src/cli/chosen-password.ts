// A new password, as the options of a command say: generated, or asked for.

export type PasswordOptions = { readonly generate?: boolean };

/** `generated` is to be shown once; undefined where somebody typed it. */
export async function choosePassword({
  generate,
}: PasswordOptions): Promise<{ readonly chosen: string; readonly generated: string | undefined }> {
  if (generate === true) {
    const [{ generatePassword }, { secureRandom }] = await Promise.all([
      import('../security/generate-password.ts'),
      import('../base/secure-random.ts'),
    ]);
    const chosen = generatePassword(secureRandom);
    return { chosen, generated: chosen };
  }
  const { readNewPassword } = await import('./password-input.ts');
  return { chosen: await readNewPassword(), generated: undefined };
}
