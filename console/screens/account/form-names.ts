/** The name of the form of an account's settings, by which what is typed there is kept. */
export const settingsOf = (account: string) => `settings of ${account}`;

/** The same of the folders that are ticked. */
export const foldersOf = (account: string) => `folders of ${account}`;

/** The same of the form of its webhook. */
export const webhookOf = (account: string) => `webhook of ${account}`;
