/** The name of the form of an account's settings, by which what is typed there is kept. */
export const settingsOf = (account: string) => `settings of ${account}`;
