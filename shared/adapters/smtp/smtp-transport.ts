import { isAcquired } from '../../platform/acquired.ts';
import { systemClock } from '../../platform/clock.ts';
import { withSlot } from '../connections/connection-slots.ts';
import type { ServerContext } from '../connections/server-context.ts';
import { type LentSession, type PoolLimits, SessionPool } from '../connections/session-pool.ts';
import { receiptForAll } from '../receipts.ts';
import type { FrozenMail, MailTransport, Receipt, SendOptions } from '../transport.ts';
import { TransportClosed } from '../trouble.ts';
import { openSession, type SmtpConfig } from './open-session.ts';
import { readyFor } from './ready-mail.ts';
import { RecipientLimit } from './recipient-limit.ts';
import type { SmtpSession } from './session.ts';
import { type Offered, offerMail } from './transactions.ts';
import { verifySmtpTransport } from './verify.ts';

export type { SmtpConfig } from './open-session.ts';

/** What the transport needs from outside; `maxConnections` counts for this process. */
export interface TransportContext extends ServerContext, PoolLimits {}

/**
 * Sends by SMTP (RFC 5321), with STARTTLS (RFC 3207) or, as smtps, with TLS from the start (RFC 8314). Connections stay
 * open between sends for half a minute. Nothing is ever sent a second time once any of its text was asked for.
 */
export function createSmtpTransport(config: SmtpConfig, context: TransportContext): MailTransport {
  const closing = new AbortController();
  const limit = new RecipientLimit(systemClock);
  const { slots } = context;
  const open = (signal: AbortSignal) => openSession(config, context, signal);
  const pool = new SessionPool<SmtpSession>(slots ? withSlot(open, slots) : open, context);

  /** Undefined: an idle connection turned out dead, or fell out of step, before the server took any of the text. */
  async function attempt(mail: FrozenMail, options: SendOptions, fresh: boolean): Promise<Receipt | undefined> {
    const lent = await pool.acquire(options.signal, { fresh });
    if (!isAcquired(lent)) return receiptForAll(mail, 'deferred', lent);
    const { session, reused } = lent;
    const ready = await readyFor(mail, session.capabilities, options.signal);
    if ('receipt' in ready) {
      lent.release();
      return ready.receipt;
    }
    const offered = await offerMail(session, ready, limit, { options, reused });
    void giveBack(lent, offered);
    return offered.receipt;
  }

  /** Gives the connection back. The receipt does not wait for it. */
  async function giveBack({ session, release }: LentSession<SmtpSession>, { receipt, end }: Offered): Promise<void> {
    if (!receipt) session.cut();
    else if (end.kind === 'refused' && session.alive && !(await session.reset(closing.signal))) session.cut();
    release();
  }

  return {
    protocol: config.protocol,
    async send(mail, options) {
      const limited = { ...options, signal: AbortSignal.any([options.signal, closing.signal]) };
      const receipt = (await attempt(mail, limited, false)) ?? (await attempt(mail, limited, true));
      if (!receipt) throw new Error('a fresh connection counted as an idle one');
      return receipt;
    },
    verify: ({ signal, sender }) =>
      verifySmtpTransport(config, (limited) => openSession(config, context, limited), {
        signal,
        sender,
        network: context.network,
      }),
    async close() {
      closing.abort(new TransportClosed());
      await pool.close();
    },
  };
}
