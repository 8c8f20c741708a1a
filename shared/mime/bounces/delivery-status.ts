import { type DeliveryAction, diagnosticOf, type ReportedRecipient, statusIn } from './report.ts';

/** Recipients taken from one report. */
const MAX_RECIPIENTS = 1_000;

/** Characters of an address: 64 and 255 by RFC 5321 section 4.5.3.1, and some that gateways add. */
const MAX_ADDRESS = 400;

const actions: ReadonlySet<string> = new Set(['failed', 'delayed', 'delivered', 'relayed', 'expanded']);

/** A message/delivery-status, read. */
export interface DeliveryStatus {
  readonly recipients: readonly ReportedRecipient[];
  /** Fields that some servers add. */
  readonly messageId: string | undefined;
}

/** Fields of one recipient, by their names in lower case. */
type Fields = Map<string, string>;

/** Reads the text of a message/delivery-status (RFC 3464 section 2, RFC 6533 section 4), also where it is damaged. */
export function readDeliveryStatus(text: string): DeliveryStatus {
  const groups = groupsOf(text);
  const recipients: ReportedRecipient[] = [];
  let messageId: string | undefined;
  for (const fields of groups) {
    messageId ??= /<[^<>\s]{1,996}>/.exec(
      fields.get('x-original-message-id') ?? fields.get('original-message-id') ?? '',
    )?.[0];
    const recipient = recipientOf(fields);
    if (recipient && recipients.length < MAX_RECIPIENTS) recipients.push(recipient);
  }
  return { recipients, messageId };
}

/** The groups of fields, parted by empty lines, or by a second recipient where the empty line was lost. */
function groupsOf(text: string): Fields[] {
  const groups: Fields[] = [new Map()];
  let last: string | undefined;
  for (const line of text.split(/\r\n|\r|\n/)) {
    let fields = groups.at(-1) ?? new Map<string, string>();
    if (/^[ \t]+\S/.test(line) && last !== undefined) {
      const value = fields.get(last) ?? '';
      if (value.length < 4_000) fields.set(last, `${value} ${line.trim()}`);
      continue;
    }
    const field = /^([A-Za-z][\w-]{0,60})[ \t]{0,20}:(.*)$/.exec(line.slice(0, 4_000));
    if (field === null) {
      last = undefined;
      if (line.trim() === '' && fields.size > 0) groups.push(new Map());
      continue;
    }
    const [, name = '', value = ''] = field;
    last = name.toLowerCase();
    if (last === 'final-recipient' && fields.has(last)) {
      fields = new Map();
      groups.push(fields);
    }
    if (!fields.has(last)) fields.set(last, value.trim());
  }
  return groups;
}

function recipientOf(fields: Fields): ReportedRecipient | undefined {
  const address =
    addressOf(fields.get('original-recipient')) ??
    addressOf(fields.get('final-recipient')) ??
    addressOf(fields.get('x-actual-recipient')) ??
    withoutDomain(fields.get('final-recipient'));
  const diagnostic = fields.get('diagnostic-code');
  const code = statusIn(fields.get('status') ?? '');
  if (address === undefined) return undefined;
  // Where the status is only 5.0.0, the reply of the other server often has a better one.
  const better = code === undefined || /\.0\.0$/.test(code) ? statusIn(diagnostic ?? '') : undefined;
  const status = better !== undefined && (code === undefined || better[0] === code[0]) ? better : code;
  return {
    address,
    action: actionOf(fields.get('action'), status),
    status,
    diagnostic: diagnosticOf((diagnostic ?? '').replace(/^[\w-]{1,20}[ \t]{0,20};/, '')),
  };
}

function actionOf(field: string | undefined, status: string | undefined): DeliveryAction | undefined {
  const word = /[a-z]+/i.exec(field ?? '')?.[0].toLowerCase() ?? '';
  if (isAction(word)) return word;
  if (/^(?:fail|undeliver|expire)/.test(word)) return 'failed';
  switch (status?.[0]) {
    case '2':
      return 'delivered';
    case '4':
      return 'delayed';
    case '5':
      return 'failed';
    default:
      return undefined;
  }
}

function isAction(word: string): word is DeliveryAction {
  return actions.has(word);
}

/** Quotes and angle brackets around an address. */
const marks = /^[<"']+|(?<![>"'])[>"']+$/g;

/** `rfc822; <a@b>`, or `utf-8; a\x{FC}@b` (RFC 6533 section 3). */
function addressOf(field: string | undefined): string | undefined {
  const text = fieldValue(field);
  const bare = (/<([^<>\s]{3,400})>/.exec(text)?.[1] ?? text.split(/[\s,;()]/, 1)[0] ?? '').replace(marks, '');
  return bare.length <= MAX_ADDRESS && /^[^@\s]+@[^@\s]+$/.test(bare) ? bare : undefined;
}

/** A recipient of the server's own, without a domain. */
function withoutDomain(field: string | undefined): string | undefined {
  const bare = fieldValue(field).replace(marks, '');
  return bare !== '' && bare.length <= MAX_ADDRESS && !/\s/.test(bare) ? bare : undefined;
}

function fieldValue(field: string | undefined): string {
  return (field ?? '')
    .replace(/^[\w-]{1,20}[ \t]{0,20};[ \t]*/, '')
    .replace(/\\x\{([0-9a-f]{2,6})\}/gi, (whole, hex: string) => {
      const code = Number.parseInt(hex, 16);
      return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    })
    .trim();
}
