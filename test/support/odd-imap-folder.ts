import type { ImapScript } from './scripted-imap.ts';

export interface OddMail {
  readonly uid: number;
  readonly text: string;
  /** INTERNALDATE, such as `01-Feb-2026 10:00:00 +0000`. */
  readonly date?: string;
}

/** A folder as a scripted server has it: a test changes what it holds, and how the server answers for it. */
export interface OddFolder {
  mails: OddMail[];
  uidValidity: number;
  /** Undefined: one above the highest UID. */
  uidNext?: number | undefined;
  /** Most numbers in an answer to SEARCH: what is beyond is cut off. */
  searchLimit?: number;
  /** Most mails that FETCH reports in a listing. */
  fetchLimit?: number;
  /** Taken out of every answer but EXISTS. */
  hidden?: ReadonlySet<number>;
  /** Left out of answers to SEARCH. */
  unsearchable?: ReadonlySet<number>;
  /** Named by SEARCH beside those that are there. */
  stale?: readonly number[];
  /** FETCH answers without the body that was asked for. */
  bodiless?: ReadonlySet<number>;
  /** Refuses the content of these; undefined: gives it. */
  refuse?: (uid: number) => string | undefined;
}

/** What a scripted server says of one INBOX. SELECT, SEARCH, FETCH and UID FETCH as RFC 3501 has them, but for the oddities. */
export function oddFolderScript(folder: OddFolder): ImapScript {
  const next = () => folder.uidNext ?? Math.max(0, ...folder.mails.map(({ uid }) => uid)) + 1;
  const shown = () => folder.mails.filter(({ uid }) => !folder.hidden?.has(uid)).sort((a, b) => a.uid - b.uid);
  const opened = () =>
    `* ${folder.mails.length} EXISTS\r\n* OK [UIDVALIDITY ${folder.uidValidity}] ok\r\n* OK [UIDNEXT ${next()}] ok\r\n`;
  const inSet = (set: string, number: number) =>
    set.split(',').some((range) => {
      const [first = '', last = first] = range.split(':');
      const value = (text: string) => (text === '*' ? Number.POSITIVE_INFINITY : Number(text));
      return number >= Math.min(value(first), value(last)) && number <= Math.max(value(first), value(last));
    });
  const rowOf = (mail: OddMail, place: number, line: string) => {
    const octets = Buffer.from(mail.text, 'latin1');
    const items = [`UID ${mail.uid}`];
    if (line.includes('RFC822.SIZE')) items.push(`RFC822.SIZE ${octets.length}`);
    if (line.includes('INTERNALDATE')) items.push(`INTERNALDATE "${mail.date ?? '01-Feb-2026 10:00:00 +0000'}"`);
    if (line.includes('FLAGS')) items.push('FLAGS ()');
    if (line.includes('BODY.PEEK[HEADER')) {
      const section = /BODY\.PEEK(\[HEADER[^\]]*\])/.exec(line)?.[1] ?? '';
      const header = mail.text.slice(0, mail.text.indexOf('\r\n\r\n') + 4);
      items.push(`BODY${section}${line.includes('<0.') ? '<0>' : ''} {${header.length}}\r\n${header}`);
    } else if (line.includes('BODY.PEEK[]') && !folder.bodiless?.has(mail.uid)) {
      items.push(`BODY[]${line.includes('<0.') ? '<0>' : ''} {${octets.length}}\r\n${mail.text}`);
    }
    return `* ${place} FETCH (${items.join(' ')})\r\n`;
  };
  const fetch = (tag: string, line: string, set: string, byUid: boolean) => {
    const wanted = shown().filter((mail, at) => inSet(set, byUid ? mail.uid : at + 1));
    if (line.includes('BODY.PEEK[]')) {
      for (const { uid } of wanted) {
        const refusal = folder.refuse?.(uid);
        if (refusal !== undefined) return `${tag} ${refusal}\r\n`;
      }
    }
    const rows = wanted.slice(0, folder.fetchLimit).map((mail) => rowOf(mail, shown().indexOf(mail) + 1, line));
    return Buffer.from(`${rows.join('')}${tag} OK done\r\n`, 'latin1');
  };
  return {
    EXAMINE: (tag) => `${opened()}${tag} OK [READ-ONLY] done\r\n`,
    SELECT: (tag) => `${opened()}${tag} OK [READ-WRITE] done\r\n`,
    'UID SEARCH': (tag, line) => {
      const set = /UID ([\d:,*]+)$/.exec(line)?.[1] ?? '1:*';
      const known = shown().filter(({ uid }) => !folder.unsearchable?.has(uid));
      const found = [...known.map(({ uid }) => uid), ...(folder.stale ?? [])].filter((uid) => inSet(set, uid));
      return `* SEARCH ${found.slice(0, folder.searchLimit).join(' ')}\r\n${tag} OK done\r\n`;
    },
    'UID FETCH': (tag, line) => fetch(tag, line, line.split(' ')[3] ?? '', true),
    FETCH: (tag, line) => fetch(tag, line, line.split(' ')[2] ?? '', false),
    'UID STORE': (tag) => `${tag} OK done\r\n`,
    'UID EXPUNGE': (tag, line) => {
      const set = line.split(' ')[3] ?? '';
      folder.mails = folder.mails.filter(({ uid }) => !inSet(set, uid));
      return `${tag} OK done\r\n`;
    },
  };
}
