import { expect } from 'vitest';
import {
  type ChangePage,
  type Checkpoint,
  type ListedMail,
  type MailStore,
  StoreError,
  type StoreSession,
} from '../../shared/adapters/store.ts';
import { mail, never } from '../support/store-helpers.ts';

/**
 * Where in a session a server falls silent. At `body` it is in the middle of a mail: the one that the contract delivers
 * for this holds nothing but lines of the letter y.
 */
export type SilentMoment = 'greeting' | 'signIn' | 'listing' | 'body';

/** A mailbox of one protocol, and a witness that looks at it by other means than the store under test. */
export interface StoreFixture {
  readonly folder: string;
  /** A folder to move to; absent where the protocol cannot. */
  readonly otherFolder?: string;
  /** Where `delete` with mode `trash` puts mail; absent where there is no trash. */
  readonly trashFolder?: string;
  /** A page says how many mails the round will still bring. */
  readonly tellsRemaining: boolean;
  store(): MailStore;
  /** As `store`, with a password the server refuses. */
  storeWithWrongPassword(): MailStore;
  /** As `store`, at a port where nothing listens. */
  storeAtClosedPort(): MailStore;
  /** As `store`, behind a server that falls silent at that moment; the store's limit for silence is below a second. */
  storeFallingSilent(moment: SilentMoment): Promise<MailStore>;
  /** Empties all folders. */
  empty(): Promise<void>;
  deliver(bytes: Buffer): Promise<void>;
  /** The bytes of a mail as the server gives them to another client. */
  witnessBytes(mail: ListedMail): Promise<Buffer | undefined>;
  /** Flags of a mail as another client sees them, read mail as `\Seen`; undefined where the protocol has none. */
  witnessFlags(mail: ListedMail): Promise<readonly string[] | undefined>;
  witnessCount(folder: string): Promise<number>;
  /** Another client removes the mail. */
  removeByOther(mail: ListedMail): Promise<void>;
  tearDown(): Promise<void>;
}

/** One round of `changes`, all pages together. */
export interface Round {
  readonly pages: readonly ChangePage[];
  readonly mails: readonly ListedMail[];
  readonly checkpoint: Checkpoint;
}

/** What the parts of the contract do again and again. `fixture` is asked each time, since it is made before the tests. */
export interface ContractTools {
  readonly fixture: () => StoreFixture;
  withSession<T>(work: (session: StoreSession) => Promise<T>): Promise<T>;
  round(session: StoreSession, checkpoint?: Checkpoint, pageSize?: number): Promise<Round>;
  deliver(...subjects: readonly string[]): Promise<void>;
}

export function contractTools(fixture: () => StoreFixture): ContractTools {
  return {
    fixture,
    withSession: async (work) => {
      const session = await fixture().store().open({ signal: never });
      try {
        return await work(session);
      } finally {
        await session.close();
      }
    },
    round: async (session, checkpoint, pageSize = 100) => {
      const pages: ChangePage[] = [];
      const options = { signal: never, pageSize };
      for await (const page of session.changes(fixture().folder, checkpoint, options)) pages.push(page);
      const last = pages.at(-1);
      if (!last) throw new Error('a round brings at least one page');
      return { pages, mails: pages.flatMap((page) => page.mails), checkpoint: last.checkpoint };
    },
    deliver: async (...subjects) => {
      for (const subject of subjects) await fixture().deliver(mail(subject));
    },
  };
}

/** The mail at a place of a list, which must be there. */
export function mailAt(mails: readonly ListedMail[], at: number): ListedMail {
  const found = mails[at];
  if (!found) throw new Error(`there is no mail ${at}`);
  return found;
}

/** The StoreError that `work` must fail with. */
export async function failure(work: Promise<unknown>): Promise<StoreError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(StoreError);
  if (!(error instanceof StoreError)) throw error;
  return error;
}
