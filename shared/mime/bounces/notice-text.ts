import { readDeliveryStatus } from './delivery-status.ts';
import { saysFailed } from './notice-words.ts';
import { diagnosticOf, MAX_DIAGNOSTIC, type ReportedRecipient, statusIn } from './report.ts';

/** Characters of a notice that are read, in lines of at most so many. */
const MAX_TEXT = 64 * 1024;
const MAX_LINE = 1_000;

/** Recipients taken from the words of a notice, and lines that belong to one. */
const MAX_RECIPIENTS = 100;
const MAX_REASON_LINES = 12;

/** Where a notice ends and the mail that came back begins. */
const copyBegins =
  /^[\s\-=_*>#|+.:]{0,80}(?:this is a copy of|below (?:this line )?is |(?:the )?(?:beginning of |start of |headers? of )?(?:the |your )?(?:original|returned|undelivered|unsent|failed|bounced) (?:message|mail|e-?mail)|message headers?(?: follow| from)|(?:the )?headers? (?:of|from) |included (?:below )?is (?:a|the) (?:copy|message|headers)|a copy of (?:the|your)|your (?:original )?message (?:text |headers? )?(?:follows|is (?:attached|below|reproduced))|(?:the )?(?:text|body) of (?:the|your) (?:original )?message|diagnostic information for administrators|original message details|-{2,} ?forwarded|原始邮件)/i;
const copyHeader = /^>?\s{0,3}(?:received|return-path|dkim-signature|mime-version|x-[a-z-]{2,40})\s?:\s/i;

const address =
  /[^\s<>"'`(),;:[\]\\@=*|{}]{1,64}@[a-z0-9_\u00a1-\uffff](?:[a-z0-9._\u00a1-\uffff-]{0,250}[a-z0-9\u00a1-\uffff])?/giu;
const machine = /^(?:mailer-?daemon|post-?master|mail-?daemon|double-bounce)@/i;
const dialogueLine = /^\s{0,20}(?:(?:<<<|>>>) ?)?(?:rcpt to\s?:|[45]\d\d[ -])/i;
const toLine = /^to\s?:\s{0,10}(.*)$/i;
const messageIdLine = /^[\s>|]{0,10}message-id\s{0,3}[:：]\s{0,10}(<[^<>\s]{1,996}>)/i;

/** The address stands for itself in its line: with marks, a name, or the reason behind it. */
const alone = /^[\s<>"'`*\-+\u2022([]{0,20}$/;
const led =
  /(?:\bto|\bfor|\breach|\brecipients?(?:\(s\))?|\baddress(?:es)?|\busers?|\bmailbox|\baccounts?|rcpt to|delivered|deliver|<|mailto|\ban|\bà|\ba|\bпользователь|\bадрес)\s{0,5}[:：]?\s{0,5}["'<(]{0,3}$/i;
const noRecipient =
  /\b(?:contact|help|support|report|questions?|administrator|abuse|unsubscribe|from|sender|message-id|reply to|assistance|in-reply-to|references|return-path|subject|date)\b[^@]{0,80}$/i;

/** What a server wrote for people. Most mail is no such thing: each finding is read when it is first asked for. */
export class Notice {
  readonly #text: string;
  readonly #own: ReadonlySet<string>;
  #split: { readonly all: readonly string[]; readonly end: number } | undefined;
  #spoken: readonly string[] | undefined;
  #recipients: readonly Omit<ReportedRecipient, 'action'>[] | undefined;
  #saysFailed: boolean | undefined;

  /** `own`: addresses of those it wrote to, in lower case. */
  constructor(text: string, own: ReadonlySet<string>) {
    this.#text = text;
    this.#own = own;
  }

  get recipients(): readonly Omit<ReportedRecipient, 'action'>[] {
    const { all, end } = this.#parts;
    this.#recipients ??= fieldsIn(all.join('\n')) ?? recipientsOf(all.slice(0, end), this.#own);
    return this.#recipients;
  }

  get messageId(): string | undefined {
    return this.#parts.all.map((line) => messageIdLine.exec(line)?.[1]).find((id) => id !== undefined);
  }

  /** The words say that a mail could not be delivered. */
  get saysFailed(): boolean {
    // Words go on in the next line; no pattern looks further.
    this.#saysFailed ??= this.lines.some((line, index) => saysFailed(`${line} ${this.lines[index + 1] ?? ''}`));
    return this.#saysFailed;
  }

  /** Before the mail that came back, without what is quoted. */
  get lines(): readonly string[] {
    const { all, end } = this.#parts;
    this.#spoken ??= all.slice(0, end).filter((line) => !/^\s{0,3}>/.test(line));
    return this.#spoken;
  }

  /** Lines of a dialogue between servers stand in it. */
  get hasDialogue(): boolean {
    return this.lines.some((line) => dialogueLine.test(line));
  }

  /** Who the mail that came back was for, where its header stands in the text. */
  get returnedTo(): string | undefined {
    const { all, end } = this.#parts;
    return all
      .slice(end)
      .map((line) => toLine.exec(line)?.[1])
      .find((to) => to !== undefined);
  }

  get #parts() {
    this.#split ??= splitNotice(this.#text);
    return this.#split;
  }
}

/** The lines of a notice, and where the mail that came back begins. */
function splitNotice(text: string): { readonly all: readonly string[]; readonly end: number } {
  const all = text
    .slice(0, MAX_TEXT)
    .split(/\r\n|\r|\n/)
    .map((line) => line.slice(0, MAX_LINE));
  const end = all.findIndex((line, index) => index > 0 && (copyBegins.test(line) || copyHeader.test(line)));
  return { all, end: end < 0 ? all.length : end };
}

/** The fields of a delivery status that stand in the text. */
function fieldsIn(text: string): ReportedRecipient[] | undefined {
  if (!/^(?:final|original)-recipient[ \t]{0,20}:/im.test(text)) return undefined;
  const { recipients } = readDeliveryStatus(text);
  return recipients.length > 0 ? [...recipients] : undefined;
}

/** Whether a line has an answer of a server, by its code. */
export function isCoded(line: string): boolean {
  return statusIn(line) !== undefined || /(?<![\d.])[45]\d\d(?![\d.])/.test(line);
}

interface Found {
  readonly address: string;
  readonly line: number;
  /** What follows in the same line. */
  readonly behind: string;
  readonly strong: boolean;
}

function recipientsOf(lines: readonly string[], own: ReadonlySet<string>): Omit<ReportedRecipient, 'action'>[] {
  const found = lines.flatMap((line, index) => addressesOf(line, index));
  const others = found.filter(({ address: found }) => !own.has(found.toLowerCase()));
  // Who writes to himself finds his own address.
  const usable = others.length > 0 ? others : found;
  const strong = usable.filter((each) => each.strong);
  const chosen = new Map<string, Found>();
  for (const each of strong.length > 0 ? strong : usable) {
    const key = each.address.toLowerCase();
    const known = chosen.get(key);
    // The line that has the reason behind the address says more than one that names it.
    if (!known) chosen.set(key, each);
    else if (statusIn(known.behind) === undefined && statusIn(each.behind) !== undefined) chosen.set(key, each);
  }
  const marks = new Set([...chosen.values()].map(({ line }) => line));
  return [...chosen.values()].slice(0, MAX_RECIPIENTS).map((each) => {
    const own = reasonOf(lines, each, marks);
    // What is said of the one recipient may stand anywhere.
    const reason = chosen.size > 1 || isCoded(own) ? own : (lines.find(isCoded) ?? own);
    return { address: each.address, status: statusIn(reason), diagnostic: diagnosticOf(reason) };
  });
}

function addressesOf(line: string, index: number): Found[] {
  if (!line.includes('@')) return [];
  const found: Found[] = [];
  for (const match of line.matchAll(address)) {
    const text = match[0].replace(/(?<![.?!])[.?!]+$/, '');
    const before = line.slice(0, match.index);
    if (machine.test(text) || noRecipient.test(before.slice(-120)) || /:\/\/\S*$/.test(before.slice(-200))) continue;
    const behind = line.slice(match.index + text.length);
    found.push({ address: text, line: index, behind, strong: alone.test(before) || led.test(before.slice(-60)) });
  }
  return found;
}

/** What is said behind an address: the rest of its line and of its paragraph, or else the next paragraph. */
function reasonOf(lines: readonly string[], found: Found, marks: ReadonlySet<number>): string {
  const first = found.behind.replace(/^[\s>"')\].,:;-]+/, '');
  const reason = [first];
  let size = first.length;
  let at = found.line + 1;
  const addParagraph = () => {
    for (let taken = 0; at < lines.length && taken < MAX_REASON_LINES && size < MAX_DIAGNOSTIC; at++, taken++) {
      const line = lines[at] ?? '';
      if (line.trim() === '' || marks.has(at)) return;
      reason.push(line);
      size += line.length;
    }
  };
  addParagraph();
  // `because:` and `For the following reason:` lead to it.
  const unsaid = () => /^\s*$|:\s{0,9}$/.test(reason.at(-1) ?? '') && reason.join('').length < MAX_DIAGNOSTIC;
  while (unsaid() && at < lines.length && !marks.has(at) && at < found.line + MAX_REASON_LINES) {
    at++;
    addParagraph();
  }
  const text = reason.join(' ').trim();
  // Said before the address: `Your mail to <a@b> could not be delivered: no such user.`
  return text === '' ? (lines[found.line] ?? '') : text;
}
