import { Writable } from 'node:stream';
import type { ImapFlow, ImapResponse } from 'imapflow';
import type { CommandNode } from './command-arguments.ts';

/**
 * The part of the library below its mailbox functions: one command, its untagged answers, its completion. It is there in
 * the library's own code and not in its types; the mailbox functions are not used, because some of them fall back to a
 * bare EXPUNGE or to CLOSE, which would remove mail that others have marked.
 */
export interface CommandChannel {
  exec(
    command: string,
    attributes: readonly CommandNode[],
    options: {
      readonly untagged: Readonly<Record<string, (response: ImapResponse) => Promise<void>>>;
      /** Called for `+`, and waited for before anything else is read. */
      readonly onPlusTag?: () => Promise<void>;
    },
  ): Promise<{ readonly response: ImapResponse; next(): void }>;
}

/** The library's own way to send a command. Throws where another version of it has none. */
export function commandChannel(client: ImapFlow): CommandChannel {
  if (!hasExec(client)) throw new Error('this version of imapflow has no exec()');
  return client;
}

function hasExec(client: unknown): client is CommandChannel {
  return typeof client === 'object' && client !== null && 'exec' in client && typeof client.exec === 'function';
}

/** The socket as it is now, TLS included; compression is off (see `libraryOptions`). */
export function socketOf(client: object): Writable {
  if (!('writeSocket' in client) || !(client.writeSocket instanceof Writable)) {
    throw new Error('this version of imapflow has no writeSocket');
  }
  return client.writeSocket;
}
