import { endpointOf, serverSteps } from '../verify/server-steps.ts';
import { type Step, tryInOrder } from '../verify/steps.ts';
import { storeFailure } from '../verify/store-steps.ts';
import type { Pop3Connection } from './connection.ts';
import { Maildrop } from './maildrop.ts';
import type { Pop3Config } from './open-connection.ts';

export interface VerifyPop3Options {
  readonly signal: AbortSignal;
  readonly deletesAtOnce: boolean;
  /** Originals are deleted. */
  readonly changes: boolean;
}

/** Tries whether an account can import by POP3, UIDL included. Nothing is marked as deleted, so QUIT deletes nothing. */
export async function verifyPop3Store(
  config: Pop3Config,
  open: (signal: AbortSignal) => Promise<Pop3Connection>,
  { signal, deletesAtOnce, changes }: VerifyPop3Options,
): Promise<readonly Step[]> {
  let connection: Pop3Connection | undefined;
  try {
    return await tryInOrder(
      [
        ...serverSteps(endpointOf(config), signal),
        {
          step: 'signIn',
          run: async () => {
            connection = await open(signal);
            return config.auth.type === 'none' ? {} : { detail: `as ${config.auth.user}` };
          },
        },
        {
          step: 'permission',
          run: async () =>
            changes
              ? {
                  status: 'unknown',
                  hint: 'POP3 tells no rights. Whether originals may be deleted shows at the first.',
                }
              : { detail: 'who signs in may read' },
        },
        {
          step: 'folder',
          run: async () => {
            if (!connection) throw new Error('the sign-in comes first');
            const { entries } = await Maildrop.enter(connection, { mayLackIds: deletesAtOnce }, signal);
            return { detail: `mails in the maildrop: ${entries.length}` };
          },
        },
      ],
      storeFailure,
    );
  } finally {
    await connection?.command('QUIT', signal).catch(() => undefined);
    connection?.wire.destroy();
  }
}
