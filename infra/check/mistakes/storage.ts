import type { Mistake } from './mistake.ts';

const storage = 'modules/storage.bicep';

/** Where the mail lies: storage, and what it holds. */
export const storageMistakes: readonly Mistake[] = [
  {
    title: 'shared keys on',
    file: storage,
    from: 'allowSharedKeyAccess: false',
    to: 'allowSharedKeyAccess: true',
    finding: /allowSharedKeyAccess is true/,
    inShortRun: true,
  },
  {
    title: 'blobs may be public',
    file: storage,
    from: 'allowBlobPublicAccess: false',
    to: 'allowBlobPublicAccess: true',
    finding: /allowBlobPublicAccess is true/,
    inShortRun: true,
  },
  {
    title: 'an old TLS',
    file: storage,
    from: "minimumTlsVersion: 'TLS1_2'",
    to: "minimumTlsVersion: 'TLS1_0'",
    finding: /minimumTlsVersion is "TLS1_0"/,
    inShortRun: true,
  },
  {
    title: 'a queue misspelt',
    file: 'main.bicep',
    from: "['mail-send', ",
    to: "['mail-sent', ",
    finding: /Queues: mail-send is missing/,
    inShortRun: true,
  },
  {
    title: 'a public container',
    file: storage,
    from: "publicAccess: 'None'",
    to: "publicAccess: 'Blob'",
    finding: /publicAccess is "Blob"/,
  },
  {
    title: 'storage over http',
    file: storage,
    from: 'supportsHttpsTrafficOnly: true',
    to: 'supportsHttpsTrafficOnly: false',
    finding: /supportsHttpsTrafficOnly is false/,
  },
  {
    title: 'the mail in the host’s storage',
    file: 'main.bicep',
    from: 'mailStorageName}.queue.',
    to: 'hostStorageName}.queue.',
    finding: /the code reads storage as/,
  },
  {
    title: 'no poison queue to watch',
    file: 'main.bicep',
    from: "['mail-send-poison', 'mail-import-poison', 'mail-webhooks-poison']",
    to: "['mail-send-poison']",
    finding: /Queues: mail-import-poison is missing/,
  },
  {
    title: 'a table missing',
    file: 'main.bicep',
    from: "['accounts', 'events', 'inbox', 'limits', 'outbox']",
    to: "['accounts', 'inbox', 'limits']",
    finding: /Tables: outbox is missing/,
  },
  {
    title: 'a container too many',
    file: 'main.bicep',
    from: "['assets', 'outbox', 'quarantine', 'uploads']",
    to: "['assets', 'outbox', 'quarantine', 'uploads', 'attachments']",
    finding: /Containers: attachments should not be there/,
  },
  {
    title: 'mail expires before it is sent',
    file: 'main.bicep',
    from: '366 + 2 + outboxRetentionDays + 30',
    to: 'outboxRetentionDays + 30',
    finding: /The outbox expires after 60 days; the code may need it for 398/,
  },
  {
    title: 'assets expire',
    file: 'main.bicep',
    from: "container: 'outbox'",
    to: "container: 'assets'",
    finding: /What expires: assets\/ should not be there/,
  },
  {
    title: 'storage reachable beside the private endpoints',
    file: storage,
    from: "publicNetworkAccess: privateOnly ? 'Disabled' : 'Enabled'",
    to: "publicNetworkAccess: 'Enabled'",
    finding: /network access is Enabled, Deny/,
  },
];
