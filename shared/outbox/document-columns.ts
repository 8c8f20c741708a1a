import { type Columns, jsonColumns } from '../platform/rows.ts';

/**
 * Characters of a record's document as it is stored. They take two bytes each, and an entity has 1 MiB (Microsoft:
 * "Understanding the Table service data model"); what is left of it is for the other columns.
 */
const maxStored = 480_000;

/** Characters that are left of each reply where they take too much, tried one after the other. */
const replyLengths = [100, 30, 0];

interface Said {
  /** A server's words. */
  readonly reply?: string | undefined;
}

interface WithReplies {
  readonly recipients: readonly Said[];
  readonly attempts: readonly Said[];
}

/**
 * Columns of a record's document. 500 recipients with long replies of other scripts, each of whose characters is stored
 * as six, are more than a row holds. An outcome that cannot be written would be lost, so the replies are shortened.
 */
export function documentColumns(document: WithReplies): Columns {
  let columns = jsonColumns(document);
  for (const most of replyLengths) {
    const stored = Object.values(columns).reduce((sum, text) => sum + text.length, 0);
    if (stored <= maxStored) break;
    columns = jsonColumns({
      ...document,
      recipients: document.recipients.map((recipient) => shortened(recipient, most)),
      attempts: document.attempts.map((attempt) => shortened(attempt, most)),
    });
  }
  return columns;
}

function shortened<T extends Said>(said: T, most: number): T {
  // Undefined is not stored.
  return { ...said, reply: said.reply?.slice(0, most).toWellFormed() || undefined };
}
