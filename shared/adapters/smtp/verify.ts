import type { Opened } from '../session-pool.ts';
import { endpointOf, networkFailure, serverSteps } from '../verify/server-steps.ts';
import { type Finding, type Step, StepFailure, tryInOrder } from '../verify/steps.ts';
import type { SmtpConfig } from './open-session.ts';
import type { SmtpSession } from './session.ts';

/** Tries whether an account can send by SMTP. The session ends after the sign-in: no MAIL is said. */
export async function verifySmtpTransport(
  config: SmtpConfig,
  open: (signal: AbortSignal) => Promise<Opened<SmtpSession>>,
  signal: AbortSignal,
): Promise<readonly Step[]> {
  return await tryInOrder(
    [
      ...serverSteps(endpointOf(config), signal),
      { step: 'signIn', run: () => signIn(config, open, signal) },
      {
        step: 'permission',
        run: async () => ({
          status: 'unknown',
          hint: 'Whether the server takes mail from this sender to others shows only when a mail is sent.',
        }),
      },
    ],
    networkFailure,
  );
}

async function signIn(
  { auth }: SmtpConfig,
  open: (signal: AbortSignal) => Promise<Opened<SmtpSession>>,
  signal: AbortSignal,
): Promise<Finding> {
  const opened = await open(signal);
  if (!opened.ok) {
    const { code, reply, hint } = opened.trouble;
    throw new StepFailure({ code, detail: reply, hint });
  }
  await opened.session.quit();
  return { detail: auth.type === 'none' ? 'none asked for: the server is used as a relay' : `as ${auth.user}` };
}
