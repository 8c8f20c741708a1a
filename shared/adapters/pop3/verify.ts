import type { NetworkPolicy } from '../net/mail-network.ts';
import { endpointOf, serverSteps } from '../verify/server-steps.ts';
import { SignInStep } from '../verify/sign-in-step.ts';
import { type Step, tryInOrder } from '../verify/steps.ts';
import { storeFailure } from '../verify/store-steps.ts';
import type { Pop3Connection } from './connection.ts';
import { Maildrop } from './maildrop.ts';
import type { Pop3Config } from './open-connection.ts';

/** What the account means to do with its maildrop. */
export interface VerifyPop3Options {
  readonly signal: AbortSignal;
  readonly network: NetworkPolicy | undefined;
  readonly deletesImmediately: boolean;
  /** Originals are deleted. */
  readonly changes: boolean;
}

/** Tries whether an account can import by POP3, UIDL included. Nothing is marked as deleted, so QUIT deletes nothing. */
export async function verifyPop3Store(
  config: Pop3Config,
  open: (signal: AbortSignal) => Promise<Pop3Connection>,
  { signal, network, deletesImmediately, changes }: VerifyPop3Options,
): Promise<readonly Step[]> {
  const signIn = new SignInStep(config.auth, () => open(signal));
  try {
    return await tryInOrder(
      [
        ...serverSteps(endpointOf(config, network), signal),
        signIn,
        {
          step: 'permission',
          run: async () =>
            changes
              ? {
                  status: 'unknown',
                  hint: 'POP3 lists no rights. Whether originals may be deleted shows at the first one.',
                }
              : { detail: 'who signs in may read' },
        },
        {
          step: 'folder',
          run: async () => {
            const { entries } = await Maildrop.enter(signIn.connection, { mayLackIds: deletesImmediately }, signal);
            return { detail: `mails in the maildrop: ${entries.length}` };
          },
        },
      ],
      storeFailure,
    );
  } finally {
    await signIn.opened?.command('QUIT', signal).catch(() => undefined);
    signIn.opened?.socket.destroy();
  }
}
