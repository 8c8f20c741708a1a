import { z } from 'zod';
import type { ListedMail } from '../../store.ts';

/** What a mailbox and the session on it are known by. */
export interface MailboxIdentity {
  readonly userId: string;
  /** `SourceId.store`. */
  readonly identity: string;
}

/** Fields asked for in listings; `subject` only where details are wanted. */
export function selectFields(details: boolean | undefined): string {
  return `id,isDraft,receivedDateTime,internetMessageId,parentFolderId${details ? ',subject' : ''}`;
}

/** An entry of a page. Updates carry what changed and hardly more, whatever was selected. */
export const mailItemSchema = z.object({
  id: z.string().min(1).max(1_024),
  '@removed': z.unknown().optional(),
  isDraft: z.boolean().nullish(),
  receivedDateTime: z.string().nullish(),
  internetMessageId: z.string().nullish(),
  parentFolderId: z.string().nullish(),
  subject: z.string().nullish(),
});

/** An entry of a page, as far as the service reads it. */
export type MailItem = z.output<typeof mailItemSchema>;

/** Longest Message-ID kept: a line (RFC 5322 section 2.1.1). */
const maxMessageId = 998;

/** Whether an entry says what is needed to decide about a mail. */
export function isWhole(item: MailItem): boolean {
  return typeof item.isDraft === 'boolean' && receivedAtOf(item) !== undefined;
}

/** When the mail came, in ms since the epoch; undefined where the entry does not say. */
export function receivedAtOf({ receivedDateTime }: Pick<MailItem, 'receivedDateTime'>): number | undefined {
  const at = Date.parse(receivedDateTime ?? '');
  return Number.isNaN(at) ? undefined : at;
}

/**
 * An entry as the service knows mails. No size: what Graph could give is that of the stored item, which is neither that
 * of its MIME nor constant.
 */
export function listedMail(item: MailItem, folder: string, { identity }: MailboxIdentity): ListedMail {
  const receivedAt = receivedAtOf(item);
  const { isDraft, internetMessageId, subject } = item;
  return {
    source: { store: identity, scope: '', item: item.id },
    folder,
    ...(receivedAt === undefined ? {} : { receivedAt }),
    ...(isDraft === true ? { draft: true } : {}),
    ...(internetMessageId ? { messageId: internetMessageId.slice(0, maxMessageId) } : {}),
    ...(subject === undefined || subject === null ? {} : { subject }),
  };
}
