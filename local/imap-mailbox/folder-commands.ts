import { parseDate } from './dates.ts';
import type { Folder } from './mailbox.ts';
import type { Session } from './session.ts';
import { bad, listOf, no, quote, textOf, type Value } from './values.ts';

/** Carries out one command; what it answers stands behind the tagged OK. */
export type Command = (session: Session, values: readonly Value[]) => Promise<string>;

const delimiter = '/';
const knownFlags = '\\Answered \\Flagged \\Deleted \\Seen \\Draft';

async function open(session: Session, values: readonly Value[], readOnly: boolean): Promise<string> {
  session.signedIn();
  // A SELECT that fails leaves no folder open (RFC 3501 section 6.3.1).
  session.unselect();
  const folder = session.folder(textOf(values[0]));
  session.select(folder, readOnly);
  const unseen = folder.mails.findIndex((mail) => !mail.flags.has('\\Seen'));
  await session.send(`* FLAGS (${knownFlags})`);
  await session.send(`* OK [PERMANENTFLAGS (${readOnly ? '' : `${knownFlags} \\*`})] Flags`);
  await session.send(`* ${folder.mails.length} EXISTS`);
  await session.send('* 0 RECENT');
  if (unseen >= 0) await session.send(`* OK [UNSEEN ${unseen + 1}] First unread`);
  await session.send(`* OK [UIDVALIDITY ${folder.uidValidity}] UIDs`);
  await session.send(`* OK [UIDNEXT ${folder.uidNext}] Next UID`);
  return readOnly ? '[READ-ONLY] Opened' : '[READ-WRITE] Opened';
}

/** LIST, also with the selection and return options of RFC 5258, of which only SPECIAL-USE has a meaning here. */
async function list(session: Session, values: readonly Value[], label: 'LIST' | 'LSUB'): Promise<string> {
  const mailbox = session.signedIn();
  const rest = values[0]?.kind === 'list' ? values.slice(1) : values;
  const specialOnly =
    values[0]?.kind === 'list' && values[0].items.some((item) => textOf(item).toUpperCase() === 'SPECIAL-USE');
  const pattern = textOf(rest[0]) + textOf(rest[1]);
  if (pattern === '') {
    await session.send(`* ${label} (\\Noselect) "${delimiter}" ""`);
    return 'Listed';
  }
  const matches = patternTest(pattern);
  for (const folder of mailbox.folders.values()) {
    if (!matches(folder.name) || (specialOnly && folder.specialUse === undefined)) continue;
    const parent = [...mailbox.folders.keys()].some((name) => name.startsWith(folder.name + delimiter));
    const flags = [
      parent ? '\\HasChildren' : '\\HasNoChildren',
      ...(folder.specialUse === undefined ? [] : [folder.specialUse]),
    ];
    await session.send(`* ${label} (${flags.join(' ')}) "${delimiter}" ${quote(folder.name)}`);
  }
  return 'Listed';
}

function patternTest(pattern: string): (name: string) => boolean {
  const source = pattern
    .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replace(/%+/g, `[^${delimiter}]*`);
  const expression = new RegExp(`^${source}$`, pattern.toUpperCase() === 'INBOX' ? 'i' : '');
  return (name) => expression.test(name);
}

function statusItem(folder: Folder, item: string): string {
  switch (item) {
    case 'MESSAGES':
      return `MESSAGES ${folder.mails.length}`;
    case 'RECENT':
      return 'RECENT 0';
    case 'UIDNEXT':
      return `UIDNEXT ${folder.uidNext}`;
    case 'UIDVALIDITY':
      return `UIDVALIDITY ${folder.uidValidity}`;
    case 'UNSEEN':
      return `UNSEEN ${folder.mails.filter((mail) => !mail.flags.has('\\Seen')).length}`;
    default:
      throw bad(`Unknown STATUS item ${item}`);
  }
}

async function append(session: Session, values: readonly Value[]): Promise<string> {
  const mailbox = session.signedIn();
  const folder = mailbox.find(textOf(values[0]));
  if (!folder) throw no('[TRYCREATE] There is no such folder');
  const content = values.at(-1);
  if (content?.kind !== 'string' || values.length < 2) throw bad('APPEND needs a literal');
  let flags: readonly string[] = [];
  let receivedAt = Date.now();
  for (const value of values.slice(1, -1)) {
    if (value.kind === 'list') {
      flags = value.items.map(textOf);
    } else {
      const parsed = parseDate(textOf(value));
      if (parsed === undefined) throw bad('Not a date-time');
      receivedAt = parsed;
    }
  }
  mailbox.checkRoom(content.bytes.length);
  const mail = folder.append(content.bytes, flags, receivedAt);
  return `[APPENDUID ${folder.uidValidity} ${mail.uid}] Appended`;
}

/** Commands on folders as a whole (RFC 3501 section 6.3; NAMESPACE is RFC 2342, UNSELECT RFC 3691). */
export const folderCommands: Readonly<Record<string, Command>> = {
  SELECT: (session, values) => open(session, values, false),
  EXAMINE: (session, values) => open(session, values, true),
  LIST: (session, values) => list(session, values, 'LIST'),
  LSUB: (session, values) => list(session, values, 'LSUB'),
  APPEND: append,
  async NAMESPACE(session) {
    session.signedIn();
    await session.send(`* NAMESPACE (("" "${delimiter}")) NIL NIL`);
    return 'Namespaces';
  },
  async CREATE(session, values) {
    session.signedIn().create(textOf(values[0]));
    return 'Created';
  },
  async STATUS(session, values) {
    const folder = session.folder(textOf(values[0]));
    const items = listOf(values[1]).map((item) => statusItem(folder, textOf(item).toUpperCase()));
    await session.send(`* STATUS ${quote(folder.name)} (${items.join(' ')})`);
    return 'Status';
  },
  async UNSELECT(session) {
    session.selected();
    session.unselect();
    return 'Unselected';
  },
  async CLOSE(session) {
    const folder = session.selected();
    if (!session.readOnly) {
      folder.remove(new Set(folder.mails.filter((mail) => mail.flags.has('\\Deleted')).map((mail) => mail.uid)));
    }
    session.unselect();
    return 'Closed';
  },
  async CHECK(session) {
    session.selected();
    return 'Checked';
  },
};
