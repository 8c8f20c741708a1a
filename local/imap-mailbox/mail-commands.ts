import { type FetchItem, fetchItems, flagsItem, uidItem } from './fetch.ts';
import type { Command } from './folder-commands.ts';
import { formatNumberSet } from './number-set.ts';
import { searchTest } from './search.ts';
import type { SeenMail, Session } from './session.ts';
import { bad, no, textOf, type Value } from './values.ts';

type MailCommand = (session: Session, values: readonly Value[], byUid: boolean) => Promise<string>;

async function sendFetch(session: Session, { sequence, mail }: SeenMail, items: readonly FetchItem[]): Promise<void> {
  const answers = items.flatMap((item, index) => [...(index > 0 ? [' '] : []), ...item.answer(mail)]);
  await session.send(`* ${sequence} FETCH (`, ...answers, ')');
}

/** A response to a UID command names the UID whether asked for or not (RFC 3501 section 6.4.8). */
function withUid(items: readonly FetchItem[], byUid: boolean): readonly FetchItem[] {
  return byUid && !items.includes(uidItem) ? [uidItem, ...items] : items;
}

const fetch: MailCommand = async (session, values, byUid) => {
  const asked = fetchItems(values[1]);
  const marks = !session.readOnly && asked.some((item) => item.marksSeen);
  for (const seen of session.pick(textOf(values[0]), byUid)) {
    const newlySeen = marks && !seen.mail.flags.has('\\Seen');
    if (newlySeen) seen.mail.flags.add('\\Seen');
    const items = newlySeen && !asked.includes(flagsItem) ? [...asked, flagsItem] : asked;
    await sendFetch(session, seen, withUid(items, byUid));
  }
  return 'Fetched';
};

const store: MailCommand = async (session, values, byUid) => {
  session.writable();
  const operation = /^([+-]?)FLAGS(\.SILENT)?$/i.exec(textOf(values[1]));
  if (!operation) throw bad('Unknown STORE item');
  const rest = values.slice(2);
  const flags = (rest[0]?.kind === 'list' ? rest[0].items : rest).map(textOf);
  for (const seen of session.pick(textOf(values[0]), byUid)) {
    const { flags: present } = seen.mail;
    if (operation[1] === '') present.clear();
    for (const flag of flags) {
      if (operation[1] === '-') present.delete(flag);
      else present.add(flag);
    }
    if (operation[2] === undefined) await sendFetch(session, seen, withUid([flagsItem], byUid));
  }
  return 'Stored';
};

const search: MailCommand = async (session, values, byUid) => {
  session.selected();
  const test = searchTest(values, session);
  const found = session.seen().filter(({ sequence, mail }) => test(mail, sequence));
  await session.send(['* SEARCH', ...found.map((one) => (byUid ? one.mail.uid : one.sequence))].join(' '));
  return 'Searched';
};

/** Copies into a folder; answers the COPYUID of RFC 4315, or undefined when there was nothing to copy. */
function copyTo(session: Session, values: readonly Value[], byUid: boolean) {
  const mailbox = session.signedIn();
  session.selected();
  const target = mailbox.find(textOf(values[1]));
  if (!target) throw no('[TRYCREATE] There is no such folder');
  const mails = session.pick(textOf(values[0]), byUid).map((one) => one.mail);
  mailbox.checkRoom(
    mails.reduce((sum, mail) => sum + mail.bytes.length, 0),
    mails.length,
  );
  const copies = mails.map((mail) => target.append(mail.bytes, mail.flags, mail.receivedAt));
  if (copies.length === 0) return undefined;
  const [from, to] = [mails, copies].map((list) => formatNumberSet(list.map((mail) => mail.uid)));
  return { code: `[COPYUID ${target.uidValidity} ${from} ${to}]`, uids: new Set(mails.map((mail) => mail.uid)) };
}

const copy: MailCommand = async (session, values, byUid) => {
  const copied = copyTo(session, values, byUid);
  return copied ? `${copied.code} Copied` : 'Nothing to copy';
};

/** RFC 6851: the COPYUID comes untagged, before the EXPUNGEs. */
const move: MailCommand = async (session, values, byUid) => {
  const folder = session.writable();
  const copied = copyTo(session, values, byUid);
  if (!copied) return 'Nothing to move';
  await session.send(`* OK ${copied.code} Moved`);
  folder.remove(copied.uids);
  return 'Moved';
};

const expunge: MailCommand = async (session, values, byUid) => {
  const folder = session.writable();
  const candidates = byUid ? session.pick(textOf(values[0]), true) : session.seen();
  const deleted = candidates.filter(({ mail }) => mail.flags.has('\\Deleted'));
  folder.remove(new Set(deleted.map(({ mail }) => mail.uid)));
  return 'Expunged';
};

const both: Readonly<Record<string, MailCommand>> = {
  FETCH: fetch,
  STORE: store,
  SEARCH: search,
  COPY: copy,
  MOVE: move,
  EXPUNGE: expunge,
};

/** Commands on mails by sequence number, and by UID behind the word UID (RFC 3501 section 6.4). */
export const mailCommands: Readonly<Record<string, Command>> = {
  ...Object.fromEntries(
    Object.entries(both).map(([name, command]): [string, Command] => [
      name,
      (session, values) => command(session, values, false),
    ]),
  ),
  async UID(session, values) {
    const name = textOf(values[0]).toUpperCase();
    const command = both[name];
    if (!command) throw bad(`Unknown command UID ${name}`);
    return command(session, values.slice(1), true);
  },
};

/** Whether the client may still count on sequence numbers when this command is answered (RFC 3501 section 7.4.1). */
export function keepsSequence(name: string): boolean {
  return name === 'FETCH' || name === 'STORE' || name === 'SEARCH';
}
