import { readAddresses } from '../addresses.ts';
import { readAttachedMessageId, readAttachedRecipients } from '../attached-header.ts';
import { decodeCharset } from '../charsets.ts';
import { ContentPeek } from '../content-peek.ts';
import type { HeaderBlock } from '../header-block.ts';
import type { MailHeader } from '../mail-header.ts';
import { firstMessageId } from '../message-ids.ts';
import type { PartHeader } from '../part-header.ts';
import { readDeliveryStatus } from './delivery-status.ts';
import { isCoded, Notice } from './notice-text.ts';
import { isFailureSubject, saysDelayed, saysDelivered } from './notice-words.ts';
import { type DeliveryReport, diagnosticOf, type ReportedRecipient, statusIn } from './report.ts';
import { type Origin, originOf } from './sender.ts';

/** Bytes read of a delivery status, and of the header of the mail that came back. */
const MAX_STATUS = 256 * 1024;
const MAX_RETURNED = 64 * 1024;

/** Parts of each kind that are read. */
const MAX_PARTS = 10;

/** What a mail says of programs: that one wrote it, and what it reports. */
export interface Automatic {
  /** Sent by a program and not by a person (RFC 3834). */
  readonly autoSubmitted: boolean;
  /** A mail came back: at least one recipient will not get it. */
  readonly bounce: boolean;
  /** The content of a bounce, or of another report about a delivery. */
  readonly report: DeliveryReport | undefined;
}

const deliveryStatus = /^message\/(?:global-)?delivery-status$/;
const disposition = /^message\/(?:global-)?disposition-notification$/;
const returned = /^(?:message\/(?:rfc822|global|global-headers|partial)|text\/rfc822-headers?)$/;

/**
 * Separates mail of programs from mail of people, and reads what servers report about mail that was sent: delivery
 * status notifications (RFC 3464), and the notices of servers that write their own. A mail of a person that quotes or
 * encloses a report does not count as one.
 */
export class BounceReader {
  #root: { readonly contentType: string; readonly reportType: string | undefined } | undefined;
  #hasStatus = false;
  #hasDisposition = false;
  readonly #statuses: ContentPeek[] = [];
  readonly #returned: ContentPeek[] = [];
  /** Message-ID in the header of a part that should have been a mail. */
  #strayId: string | undefined;

  /** A multipart, or any other part, in the order of the mail. Answers what keeps the content to be read. */
  part(header: PartHeader): ContentPeek | undefined {
    const { contentType, reportType } = header;
    if (this.#root !== undefined) this.#strayId ??= firstMessageId(header.messageId);
    this.#root ??= { contentType, reportType };
    if (disposition.test(contentType) || reportType === 'disposition-notification') this.#hasDisposition = true;
    if (deliveryStatus.test(contentType)) {
      this.#hasStatus = true;
      return keep(this.#statuses, MAX_STATUS);
    }
    return returned.test(contentType) ? keep(this.#returned, MAX_RETURNED) : undefined;
  }

  /** `text`: the body, as far as it is kept. */
  finish(block: HeaderBlock, header: MailHeader, text: string | undefined): Automatic {
    const origin = originOf(block, header.subject);
    const own = new Set([...header.to, ...header.cc].map(({ address }) => address.toLowerCase()));
    const notice = new Notice(text ?? '', own);
    const status = readStatuses(this.#statuses);
    const failed = (block.first('x-failed-recipients') ?? '')
      .split(/[\s,;]+/, 200)
      .filter((each) => each.includes('@'));
    const kind = this.#kindOf(origin, { subject: header.subject ?? '', notice, status, failed });
    const automatic =
      kind !== 'none' ||
      origin.autoSubmitted !== '' ||
      origin.autoReply ||
      origin.nullPath ||
      origin.daemon ||
      this.#isReceipt(origin) ||
      (origin.automaticSubject && !origin.answered);
    if (kind === 'none') return { autoSubmitted: automatic, bounce: false, report: undefined };
    const recipients =
      status.recipients.length > 0
        ? status.recipients
        : this.#recipients(withReasons(failed, notice, kind), notice, kind);
    const messageId =
      status.messageId ??
      this.#returnedId() ??
      this.#strayId ??
      notice.messageId ??
      header.inReplyTo ??
      header.references.at(-1);
    return { autoSubmitted: true, bounce: kind === 'bounce', report: { recipients, messageId } };
  }

  #kindOf(origin: Origin, found: Found): 'none' | 'report' | 'bounce' {
    if (this.#isReceipt(origin)) return 'none';
    const isReport = this.#isReport(origin);
    const { subject, notice, status, failed } = found;
    if (isReport && status.recipients.some(({ action }) => action !== undefined)) {
      return status.recipients.some(({ action }) => action === 'failed') ? 'bounce' : 'report';
    }
    const late = saysDelayed(subject) && !/fail|permanent|undeliver|returned/i.test(subject);
    const passing = late || saysDelivered(subject);
    if (failed.length > 0) return passing ? 'report' : 'bounce';
    if (isReport) return passing ? 'report' : 'bounce';
    const machine = origin.nullPath || origin.autoSubmitted !== '' || origin.postmaster || origin.impersonal;
    const isServer = origin.daemon || (machine && !origin.answered);
    // Some give the answer the subject of the mail; no person writes the lines of a dialogue.
    if (origin.postmaster && notice.hasDialogue && notice.recipients.length > 0) return passing ? 'report' : 'bounce';
    if (!isServer || (!origin.daemon && origin.automaticSubject)) return 'none';
    if (passing) return notice.recipients.length > 0 || origin.daemon ? 'report' : 'none';
    const failure = isFailureSubject(subject);
    const named = notice.recipients.length > 0;
    if (origin.daemon) {
      // A server that writes in plain text that a mail is late writes so in its first lines.
      const lateByWords =
        !failure &&
        notice.lines.slice(0, 15).some(saysDelayed) &&
        !notice.lines.some((line) => /permanent|giv(?:e|ing) up/i.test(line));
      return lateByWords ? 'report' : failure || notice.saysFailed || origin.nullPath ? 'bounce' : 'none';
    }
    if (failure && origin.postmaster) return 'bounce';
    // A server whose subject is its own: only its words and the code decide.
    const coded = notice.recipients.some(({ diagnostic }) => isCoded(diagnostic ?? ''));
    if (failure && origin.nullPath) return notice.saysFailed || named ? 'bounce' : 'none';
    // Shops and carriers write of deliveries that failed as well; servers name the recipient and the code.
    if (failure) return notice.saysFailed && named && coded ? 'bounce' : 'none';
    const proofs = [origin.nullPath, origin.postmaster, coded].filter(Boolean).length;
    return notice.saysFailed && named && proofs >= 2 ? 'bounce' : 'none';
  }

  /** The mail itself is a report on a delivery, or holds one and is a server's. */
  #isReport(origin: Origin): boolean {
    if (this.#root === undefined) return false;
    const { contentType, reportType } = this.#root;
    if (deliveryStatus.test(contentType)) return true;
    if (contentType === 'multipart/report') return reportType === 'delivery-status' || this.#hasStatus;
    return this.#hasStatus && (origin.daemon || origin.nullPath || (origin.postmaster && !origin.answered));
  }

  /** A read receipt (RFC 8098), or a report on abuse (RFC 5965). */
  #isReceipt(origin: Origin): boolean {
    const type = this.#root?.contentType === 'multipart/report' ? this.#root.reportType : undefined;
    if (type === 'disposition-notification' || type === 'feedback-report') return true;
    if (!this.#hasDisposition || this.#hasStatus) return false;
    return (
      this.#root?.contentType === 'multipart/report' ||
      origin.nullPath ||
      disposition.test(this.#root?.contentType ?? '')
    );
  }

  /** Recipients, where neither a report nor words name one: those of an enclosed report, or of the mail itself. */
  #recipients(
    named: readonly ReportedRecipient[],
    notice: Notice,
    kind: 'report' | 'bounce',
  ): readonly ReportedRecipient[] {
    if (named.length > 0) return named;
    for (const { bytes } of this.#returned) {
      const { recipients } = readDeliveryStatus(bytes.toString('utf8'));
      if (recipients.length > 0) return recipients;
    }
    const enclosed = this.#returned.flatMap(({ bytes }) => readAttachedRecipients(bytes));
    const to = enclosed.length > 0 ? enclosed : readAddresses([notice.returnedTo ?? ''], 2, new Set());
    const [only] = to;
    if (only === undefined || only.address === '' || to.length > 1) return [];
    const said = notice.lines.find((line) => /(?<![\d.])[45]\d\d[ -]/.test(line)) ?? '';
    return [
      {
        address: only.address,
        action: kind === 'bounce' ? 'failed' : 'delayed',
        status: statusIn(said),
        diagnostic: diagnosticOf(said),
      },
    ];
  }

  #returnedId(): string | undefined {
    for (const peek of this.#returned) {
      const id = readAttachedMessageId(peek.bytes);
      if (id !== undefined) return id;
    }
    return undefined;
  }
}

interface Found {
  readonly subject: string;
  readonly notice: Notice;
  readonly status: ReturnType<typeof readStatuses>;
  readonly failed: readonly string[];
}

function keep(list: ContentPeek[], limit: number): ContentPeek | undefined {
  if (list.length >= MAX_PARTS) return undefined;
  const peek = new ContentPeek(limit);
  list.push(peek);
  return peek;
}

function readStatuses(peeks: readonly ContentPeek[]) {
  const read = peeks.map(({ bytes }) => readDeliveryStatus(decodeCharset(bytes, undefined, new Set())));
  return {
    recipients: read.flatMap(({ recipients }) => recipients).slice(0, 1_000),
    messageId: read.map(({ messageId }) => messageId).find((id) => id !== undefined),
  };
}

/** Recipients that a notice names: those of its header first, with what its text says of them. */
function withReasons(failed: readonly string[], notice: Notice, kind: 'report' | 'bounce'): ReportedRecipient[] {
  const action = kind === 'bounce' ? 'failed' : 'delayed';
  if (failed.length === 0) return notice.recipients.map((recipient) => ({ ...recipient, action }));
  return failed.map((address) => {
    const said = notice.recipients.find((each) => each.address.toLowerCase() === address.toLowerCase());
    return { address, action, status: said?.status, diagnostic: said?.diagnostic };
  });
}
