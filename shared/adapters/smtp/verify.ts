import type { Opened } from '../connections/session-pool.ts';
import type { NetworkPolicy } from '../net/mail-network.ts';
import { endpointOf, networkFailure, serverSteps } from '../verify/server-steps.ts';
import { type Finding, type Step, StepFailure, tryInOrder } from '../verify/steps.ts';
import { ConnectionLost } from './connection.ts';
import type { SmtpConfig } from './open-session.ts';
import { isPermanent } from './reply.ts';
import type { SmtpSession } from './session.ts';
import { smtpEnvelope } from './smtp-envelope.ts';

/** How a verification is made. */
export interface VerifySmtpOptions {
  readonly signal: AbortSignal;
  readonly network: NetworkPolicy | undefined;
  /** The envelope sender. Absent: it is not tried whether the server takes mail from it. */
  readonly sender?: string | undefined;
}

/** Tries whether an account can send by SMTP, as far as MAIL and RCPT, which are taken back. No mail is sent. */
export async function verifySmtpTransport(
  config: SmtpConfig,
  open: (signal: AbortSignal) => Promise<Opened<SmtpSession>>,
  { signal, network, sender }: VerifySmtpOptions,
): Promise<readonly Step[]> {
  let session: SmtpSession | undefined;
  try {
    return await tryInOrder(
      [
        ...serverSteps(endpointOf(config, network), signal),
        {
          step: 'signIn',
          run: async () => {
            session = await signedIn(open, signal);
            const { auth } = config;
            return {
              detail: auth.type === 'none' ? 'none asked for: the server is used as a relay' : `as ${auth.user}`,
            };
          },
        },
        { step: 'permission', run: async () => await permission(session, sender, signal) },
      ],
      (error) => (error instanceof ConnectionLost ? lost(error) : networkFailure(error)),
    );
  } finally {
    await session?.quit();
  }
}

async function signedIn(
  open: (signal: AbortSignal) => Promise<Opened<SmtpSession>>,
  signal: AbortSignal,
): Promise<SmtpSession> {
  const opened = await open(signal);
  if (opened.ok) return opened.session;
  const { code, reply, hint } = opened.trouble;
  throw new StepFailure({ code, detail: reply, hint });
}

function lost({ trouble: { code, hint } }: ConnectionLost): StepFailure {
  return new StepFailure({ code, hint: hint ?? 'The server ended the connection. Look at its log.' });
}

/** MAIL, RCPT of the sender to itself, and RSET. */
async function permission(
  session: SmtpSession | undefined,
  sender: string | undefined,
  signal: AbortSignal,
): Promise<Finding> {
  if (!session || sender === undefined)
    return { status: 'unknown', hint: 'Whether the server takes mail from this sender shows when a mail is sent.' };
  const { from, unsendable } = smtpEnvelope(
    { from: sender, to: [sender] },
    { utf8Offered: session.capabilities.smtpUtf8 },
  );
  if (unsendable) throw new StepFailure({ code: unsendable.code, hint: `${unsendable.reason}. Change the sender.` });
  const cut = () => session.cut();
  signal.addEventListener('abort', cut, { once: true });
  const refusal = await session.tryEnvelope(from).finally(() => signal.removeEventListener('abort', cut));
  if (!refusal) return { detail: `the server takes mail from ${from}, and to it` };
  const { step, reply } = refusal;
  const code = reply.status ?? String(reply.code);
  const detail = `${reply.code}${reply.status === undefined ? '' : ` ${reply.status}`} to ${step === 'mail' ? 'MAIL' : 'RCPT'}`;
  if (!isPermanent(reply))
    return {
      status: 'unknown',
      code,
      detail,
      hint: 'The server asks to come again later, as when it greylists or is busy.',
    };
  if (step === 'mail')
    throw new StepFailure({
      code,
      detail,
      hint: `The server takes no mail from ${from}. Use a sender that the signed-in user may use, or sign in.`,
    });
  // 5.1.x speaks of the mailbox: the sender may be one that takes no mail (RFC 3463 section 3.2).
  return reply.status?.startsWith('5.1.')
    ? { status: 'unknown', code, detail, hint: `The server knows no mailbox ${from}; it may take mail to others.` }
    : {
        status: 'failed',
        code,
        detail,
        hint: `The server takes mail from ${from}, and none to it. Check that this app may relay, or has to sign in.`,
      };
}
