/** Names and English display names (Microsoft Graph, "mailFolder resource type"); below the root unless hidden. */
export const wellKnownFolders = [
  ['inbox', 'Inbox'],
  ['drafts', 'Drafts'],
  ['sentitems', 'Sent Items'],
  ['deleteditems', 'Deleted Items'],
  ['junkemail', 'Junk Email'],
  ['archive', 'Archive'],
  ['outbox', 'Outbox'],
] as const;

export type WellKnownName =
  | (typeof wellKnownFolders)[number][0]
  | 'msgfolderroot'
  | 'recoverableitemsdeletions'
  | 'recoverableitemspurges';
