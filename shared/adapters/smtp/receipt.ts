import type { CommitGate } from '../commit-gate.ts';
import { deferred, textTroubles } from '../receipts.ts';
import type { FrozenMail, Receipt, RecipientResult } from '../transport.ts';
import type { Trouble } from '../trouble.ts';
import { asksToSlowDown, isPermanent, type SmtpReply } from './reply.ts';
import type { Dialogue } from './session.ts';
import { replyTrouble } from './trouble.ts';
import type { Unsendable, WireEnvelope } from './wire-envelope.ts';

function answered(address: string, reply: SmtpReply): RecipientResult {
  const outcome = reply.code < 400 ? 'accepted' : isPermanent(reply) ? 'rejected' : 'deferred';
  return { address, outcome, code: String(reply.code), reply: reply.text };
}

function refusedHere(address: string, why: Unsendable): RecipientResult {
  return { address, outcome: 'rejected', code: why.code, reply: why.reason };
}

const unsendableHints: Readonly<Record<Unsendable['code'], string>> = {
  SMTPUTF8: 'The server takes ASCII addresses only. Use an ASCII address, or a server that offers SMTPUTF8.',
  INVALID_ADDRESS: 'SMTP cannot carry this address. Correct it.',
};

/** No recipient could be written on the wire: the server was offered nothing. */
export function nothingOffered(mail: FrozenMail, wire: WireEnvelope): Receipt {
  const recipients = mail.envelope.to.map((address, index) => unsent(address, wire.recipients[index]));
  const trouble = unsendableTrouble(wire);
  return trouble ? { recipients, trouble } : { recipients };
}

function unsent(address: string, on: string | Unsendable | undefined): RecipientResult {
  if (on === undefined || typeof on === 'string') throw new Error('an envelope lost a recipient');
  return refusedHere(address, on);
}

function unsendableTrouble(wire: WireEnvelope): Trouble | undefined {
  const here = wire.recipients.find((recipient) => typeof recipient !== 'string');
  return here ? { scope: 'message', code: here.code, reply: here.reason, hint: unsendableHints[here.code] } : undefined;
}

/** What became of one mail: what stands between it and the server, and whether that counts for one recipient or all. */
export function receiptOf(mail: FrozenMail, wire: WireEnvelope, dialogue: Dialogue, gate: CommitGate): Receipt {
  const { end } = dialogue;
  const lost = end.kind === 'lost' ? lossOf(end.trouble, gate) : undefined;
  const recipients = mail.envelope.to.map((address, index): RecipientResult => {
    const on = wire.recipients[index];
    if (typeof on !== 'string') return unsent(address, on);
    // A refused sender is everyone's; behind it a server that was sent RCPT already answers out of turn.
    const own = end.kind === 'refused' && end.step === 'mail' ? undefined : dialogue.refused.get(on);
    if (own) return answered(address, own);
    return byEnd(address, on, { dialogue, gate, lost });
  });
  const trouble = lost ?? troubleOf(mail, wire, dialogue);
  return trouble ? { recipients, trouble } : { recipients };
}

interface Ended {
  readonly dialogue: Dialogue;
  readonly gate: CommitGate;
  readonly lost: Trouble | undefined;
}

/** What the end of the dialogue means for a recipient that was not refused on its own. */
function byEnd(address: string, wire: string, { dialogue, gate, lost }: Ended): RecipientResult {
  const { end } = dialogue;
  switch (end.kind) {
    case 'accepted':
      // A reply to RCPT that is neither yes nor no counts as no answer.
      return dialogue.accepted.has(wire)
        ? answered(address, end.reply)
        : { address, outcome: 'deferred', code: 'EPROTOCOL' };
    case 'refused':
      return answered(address, end.reply);
    case 'tooLarge':
      return { address, outcome: 'rejected', code: 'SIZE', reply: `SIZE ${end.limit ?? ''}`.trim() };
    case 'lost': {
      const result = deferred(address, lost ?? end.trouble);
      return gate.committed ? { ...result, outcome: 'uncertain' } : result;
    }
  }
}

function lossOf(trouble: Trouble, gate: CommitGate): Trouble {
  if (gate.failure) return textTroubles[gate.failure];
  if (!gate.committed) return trouble;
  const hint =
    'The server took the whole mail and its answer was lost: it may have been delivered. Ask the recipient or the server’s log before sending it again.';
  return { ...trouble, scope: 'connection', hint };
}

function troubleOf(mail: FrozenMail, wire: WireEnvelope, dialogue: Dialogue): Trouble | undefined {
  const { end } = dialogue;
  if (end.kind === 'tooLarge') {
    const hint = `The mail has ${mail.size} bytes and the server takes at most ${end.limit ?? 'fewer'}. Send less, or by a link.`;
    return { scope: 'message', code: 'SIZE', hint };
  }
  if (end.kind === 'refused' && end.step !== 'rcpt') return replyTrouble(end.step, end.reply);
  const refusals = [...dialogue.refused.values()];
  // One mailbox that is slow is no call to slow down as long as others were taken.
  const throttled = dialogue.accepted.size === 0 ? refusals.find(asksToSlowDown) : undefined;
  const refusal = throttled ?? refusals[0] ?? (end.kind === 'refused' ? end.reply : undefined);
  if (refusal) {
    const trouble = replyTrouble('rcpt', refusal);
    return throttled || end.kind === 'refused' ? trouble : { ...trouble, scope: 'message' };
  }
  return unsendableTrouble(wire);
}
