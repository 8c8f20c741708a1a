import { CommitGate } from '../commit-gate.ts';
import { withSlot } from '../connection-slots.ts';
import { allDeferred } from '../receipts.ts';
import type { ServerContext } from '../server-context.ts';
import { type PoolLimits, SessionPool } from '../session-pool.ts';
import type { FrozenMail, MailTransport, Receipt, SendOptions } from '../transport.ts';
import { TransportClosed } from '../trouble.ts';
import { openSession, type SmtpConfig } from './open-session.ts';
import { nothingOffered, receiptOf } from './receipt.ts';
import type { Dialogue, SmtpSession } from './session.ts';
import { verifySmtpTransport } from './verify.ts';
import { wireEnvelope } from './wire-envelope.ts';

export type { SmtpConfig } from './open-session.ts';

/** What the transport needs from outside; `maxConnections` counts for this process. */
export interface TransportContext extends ServerContext, PoolLimits {}

/**
 * Sends by SMTP (RFC 5321), with STARTTLS (RFC 3207) or, as smtps, with TLS from the start (RFC 8314). Connections stay
 * open between sends for half a minute. Nothing is ever sent a second time once any of its text was asked for.
 */
export function createSmtpTransport(config: SmtpConfig, context: TransportContext): MailTransport {
  const closing = new AbortController();
  const { slots } = context;
  const open = (signal: AbortSignal) => openSession(config, context, signal);
  const pool = new SessionPool<SmtpSession>(slots ? withSlot(open, slots) : open, context);

  /** Undefined: an idle connection turned out dead, or fell out of step, before the server took any of the text. */
  async function attempt(mail: FrozenMail, options: SendOptions, fresh: boolean): Promise<Receipt | undefined> {
    const { signal } = options;
    const leased = await pool.lease(signal, { fresh });
    if (!leased.ok) return allDeferred(mail, leased.trouble);
    const { session, reused } = leased;
    const wire = wireEnvelope(mail.envelope, { utf8Offered: session.utf8Offered });
    if (wire.to.length === 0) {
      pool.giveBack(session);
      return nothingOffered(mail, wire);
    }
    const gate = new CommitGate(mail, () => options.beforeCommit(), signal);
    const dialogue = await session.send({ envelope: wire, dsn: mail.envelope.dsn, size: mail.size, gate }, signal);
    const stale = reused && !gate.opened && !signal.aborted && fellOut(dialogue);
    void retire(session, dialogue, stale);
    return stale ? undefined : receiptOf(mail, wire, dialogue, gate);
  }

  /** Gives the connection back. The receipt does not wait for it. */
  async function retire(session: SmtpSession, dialogue: Dialogue, stale: boolean): Promise<void> {
    if (stale) session.cut();
    else if (dialogue.end.kind === 'refused' && !(await session.reset(closing.signal))) session.cut();
    pool.giveBack(session);
  }

  return {
    protocol: config.protocol,
    async send(mail, options) {
      const limited = { ...options, signal: AbortSignal.any([options.signal, closing.signal]) };
      const receipt = (await attempt(mail, limited, false)) ?? (await attempt(mail, limited, true));
      if (!receipt) throw new Error('a fresh connection counted as an idle one');
      return receipt;
    },
    verify: ({ signal }) => verifySmtpTransport(config, (limited) => openSession(config, context, limited), signal),
    async close() {
      closing.abort(new TransportClosed());
      await pool.close();
    },
  };
}

/**
 * The connection was lost; or the server closed it (421), or no longer knew where in the dialogue it was (503). All
 * three come of idling and mean nothing for the mail.
 */
function fellOut({ end }: Dialogue): boolean {
  if (end.kind === 'lost') return true;
  return end.kind === 'refused' && (end.reply.code === 421 || (end.step === 'mail' && end.reply.code === 503));
}
