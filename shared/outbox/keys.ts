import { digest, newestFirst } from '../platform/ids.ts';
import { prefixEnd } from '../platform/rows.ts';

// Table `outbox` has a partition per account. The row keys of a message are a prefix and its id without the account
// (`localId`, newest first). Rows `t:` are what is counted per day (see stats/count-rows.ts).

/** The records of an account's messages, newest first. */
export const recordPrefix = 'm:';
/** What is still open: one row for each message that something is to be done for. */
export const openPrefix = 'o:';
/** Copies that are still to be put into \Sent. */
export const copyPrefix = 's:';
/** Messages that failed, the last one first. */
export const failurePrefix = 'f:';
/** Callers' idempotency keys. */
export const idempotencyPrefix = 'i:';

/** Row of a message's record. */
export const recordKey = (localId: string) => `${recordPrefix}${localId}`;
/** Row of a message that something is still to be done for. */
export const openKey = (localId: string) => `${openPrefix}${localId}`;
/** Row of the copy of a message that is still to be put into \Sent. */
export const copyKey = (localId: string) => `${copyPrefix}${localId}`;

/** Row of a message that failed at this instant, in ms since the epoch. */
export const failureKey = (at: number, localId: string) => `${failurePrefix}${newestFirst(at)}:${localId}`;

/** The `localId` of a row of a record, of an open message or of a copy. */
export const localIdOf = (key: string) => key.slice(recordPrefix.length);

/** The first key behind all records. */
export const recordsEnd = prefixEnd(recordPrefix);
/** The first key behind all rows of open messages. */
export const openEnd = prefixEnd(openPrefix);

/** The first key behind all rows of failures. */
export const failuresEnd = prefixEnd(failurePrefix);

/** Row of a caller's key, which may hold anything and is therefore hashed. */
export const idempotencyRowKey = (key: string) => `${idempotencyPrefix}${digest(40, key)}`;

/** One row per account whose waiting mail was released, in a partition of its own: no account's name begins so. */
export const releasePartition = '!release';

/** One row per account that has open messages (open-accounts.ts), in a partition of its own. */
export const openPartition = '!open';

/** Blob of a message's frozen MIME in container `outbox`. */
export const mimePath = (account: string, localId: string) => `${account}/${localId}.eml`;
/** Blob of one of the uploads in a message; behind the same prefix as its MIME, so that both go together. */
export const uploadPath = (account: string, localId: string, upload: number) => `${account}/${localId}.${upload}`;
/** Blob of what a record held that could not be read; goes with the MIME as well. */
export const unreadPath = (account: string, localId: string) => `${account}/${localId}.record`;

/** The `localId` of the message that a blob of container `outbox` belongs to. */
export const localIdOfBlob = (account: string, path: string) => path.slice(account.length + 1).split('.', 1)[0] ?? '';
