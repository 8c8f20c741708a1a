import type { ImapFlow } from 'imapflow';
import type { Credentials } from '../sign-in/credentials.ts';

/** The parts of the library by which it sends commands of its own: in its code and not in its types. */
interface CommandRunner {
  run(command: string, ...args: readonly unknown[]): Promise<unknown>;
  readonly state: number;
  readonly states: Readonly<Record<'NOT_AUTHENTICATED', number>>;
}

/**
 * Keeps the library from commands that an import which finds nothing has no use for: an account is asked every few minutes,
 * all day. `ID` is sent once, after the sign-in: some servers (Coremail) open no folder without it. Where a token signs in, the
 * server is Exchange: it is sent none, and `NAMESPACE` at once, by which Exchange says whether it has the mailbox. Elsewhere
 * that is asked for when it is needed: before a folder is made.
 */
export function sendFewCommands(client: ImapFlow, by: Credentials['kind']): void {
  if (!isRunner(client)) throw new Error('this version of imapflow has no run()');
  const run = client.run.bind(client);
  let asked = by === 'token';
  Object.defineProperty(client, 'run', {
    value: async (command: string, ...args: readonly unknown[]) => {
      if (command === 'ID' && (by === 'token' || client.state === client.states.NOT_AUTHENTICATED)) return false;
      if (command === 'NAMESPACE' && !asked) return undefined;
      if (command === 'CREATE' && !asked) {
        asked = true;
        await run('NAMESPACE');
      }
      return await run(command, ...args);
    },
  });
}

function isRunner(client: unknown): client is CommandRunner {
  return typeof client === 'object' && client !== null && 'run' in client && typeof client.run === 'function';
}
