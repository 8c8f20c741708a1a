import { accountOperations } from '../accounts/operations.ts';
import { assetOperations } from '../assets/operations.ts';
import { consoleOperations } from '../console-files/operations.ts';
import { docsOperations } from '../docs/operations.ts';
import { graphOperations } from '../graph/operations.ts';
import { healthOperations } from '../health/operations.ts';
import { importOperations } from '../imports/operations.ts';
import { messageOperations } from '../messages/operations.ts';
import { quarantineOperations } from '../quarantine/operations.ts';
import { statsOperations } from '../stats/operations.ts';
import { uploadOperations } from '../uploads/operations.ts';
import { webhookOperations } from '../webhook/operations.ts';

/** Every route by its chapter of `GET /openapi.json`, under the names of their functions. */
export const operations = {
  Sending: { ...messageOperations, ...uploadOperations },
  Accounts: accountOperations,
  Webhook: webhookOperations,
  Importing: { ...importOperations, ...graphOperations },
  Assets: assetOperations,
  Quarantine: quarantineOperations,
  Stats: statsOperations,
  Health: healthOperations,
  Description: docsOperations,
  Console: consoleOperations,
} as const;

type Chapters = typeof operations;

/** Name of a function that answers HTTP: one that is not described cannot be registered (CONTRIBUTING.md, "Adding a route"). */
export type OperationName = { [C in keyof Chapters]: keyof Chapters[C] & string }[keyof Chapters];
