import type { ImapScript } from './scripted-imap.ts';

/** A mail of a described mailbox: its octets, and what the server says instead of the truth. */
export interface ScriptedImapMail {
  readonly uid: number;
  readonly bytes: Buffer;
  /** RFC822.SIZE; default: the truth. */
  readonly size?: number;
  /** The items of the FETCH answer that has the body, without UID; default: what was asked for. */
  body?(line: string): string;
}

export interface ScriptedImapMailbox {
  readonly script: ImapScript;
  /** The mails as they are now: a test may change them. */
  readonly mails: ScriptedImapMail[];
}

export const literal = (bytes: Buffer): string => `{${bytes.length}}\r\n${bytes.toString('latin1')}`;

/** The script of an IMAP server with these mails in INBOX. What it is asked to change it says yes to, and does not do. */
export function scriptedImapMailbox(...mails: ScriptedImapMail[]): ScriptedImapMailbox {
  const uidNext = () => Math.max(0, ...mails.map(({ uid }) => uid)) + 1;
  const opened = () => `* ${mails.length} EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT ${uidNext()}] ok\r\n`;
  const within = (set: string, n: number, last: number) =>
    set.split(',').some((range) => {
      const [from, to = from] = range.split(':').map((each) => (each === '*' ? last : Number(each)));
      return from !== undefined && to !== undefined && n >= Math.min(from, to) && n <= Math.max(from, to);
    });
  const body = (mail: ScriptedImapMail, line: string): string => {
    if (mail.body) return mail.body(line);
    const [, section = '', from, length] = /BODY\.PEEK\[([^\]]*)\](?:<(\d+)\.(\d+)>)?/.exec(line) ?? [];
    const header = mail.bytes.subarray(0, mail.bytes.indexOf('\r\n\r\n') + 4);
    const whole = section === '' ? mail.bytes : header;
    const part = from === undefined ? whole : whole.subarray(Number(from), Number(from) + Number(length));
    return `BODY[${section}]${from === undefined ? '' : `<${from}>`} ${literal(part)}`;
  };
  const row = (mail: ScriptedImapMail, place: number, line: string) => {
    const date = '"01-Jun-2026 10:00:00 +0000"';
    const items = [`UID ${mail.uid}`, 'FLAGS ()'];
    if (line.includes('RFC822.SIZE')) items.push(`RFC822.SIZE ${mail.size ?? mail.bytes.length} INTERNALDATE ${date}`);
    if (line.includes('BODY')) items.push(body(mail, line));
    return `* ${place} FETCH (${items.join(' ')})\r\n`;
  };
  const fetch = (byUid: boolean) => (tag: string, line: string) => {
    const set = line.split(' ')[byUid ? 3 : 2] ?? '';
    const last = byUid ? uidNext() - 1 : mails.length;
    const rows = mails.flatMap((mail, at) =>
      within(set, byUid ? mail.uid : at + 1, last) ? row(mail, at + 1, line) : [],
    );
    // A literal is octets, and a string is one character an octet.
    return Buffer.from(`${rows.join('')}${tag} OK done\r\n`, 'latin1');
  };
  return {
    mails,
    script: {
      EXAMINE: (tag) => `${opened()}${tag} OK [READ-ONLY] done\r\n`,
      SELECT: (tag) => `${opened()}${tag} OK [READ-WRITE] done\r\n`,
      'UID SEARCH': (tag, line) => {
        const set = /UID ([\d:,*]+)$/.exec(line.slice(line.indexOf('SEARCH')))?.[1] ?? '1:*';
        const found = mails.filter(({ uid }) => within(set, uid, uidNext() - 1)).map(({ uid }) => ` ${uid}`);
        return `* SEARCH${found.join('')}\r\n${tag} OK done\r\n`;
      },
      'UID FETCH': fetch(true),
      FETCH: fetch(false),
      'UID STORE': (tag) => `${tag} OK done\r\n`,
      'UID EXPUNGE': (tag) => `${tag} OK done\r\n`,
      'UID MOVE': (tag) => `${tag} OK done\r\n`,
      UNSELECT: (tag) => `${tag} OK done\r\n`,
    },
  };
}
