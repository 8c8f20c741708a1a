/** How an account names a folder of a mailbox. */
export type FolderName =
  | { readonly kind: 'wellKnown'; readonly name: string }
  | { readonly kind: 'id'; readonly id: string }
  /** Display names from the top of the mailbox down; the first may be a well-known folder instead. */
  | { readonly kind: 'path'; readonly root: string; readonly names: readonly string[] };

/** Microsoft Learn, "mailFolder resource type": names that stand for a folder in every language of the mailbox. */
const wellKnownNames: ReadonlySet<string> = new Set([
  'archive',
  'clutter',
  'conflicts',
  'conversationhistory',
  'deleteditems',
  'drafts',
  'inbox',
  'junkemail',
  'localfailures',
  'msgfolderroot',
  'outbox',
  'recoverableitemsdeletions',
  'scheduled',
  'searchfolders',
  'sentitems',
  'serverfailures',
  'syncissues',
]);

/** The folder that holds all others which a person sees. */
export const topFolder = 'msgfolderroot';

/** Deepest path followed; Exchange allows 300 levels, people use a few. */
const maxDepth = 30;

/**
 * Reads a folder as an account names it: a well-known name in any case (`inbox`), `id:` with a folder's id, or a path
 * of display names (`inbox/Invoices/2026`). A path begins at the top of the mailbox unless its first name is a
 * well-known one; a leading slash makes the first name a display name in any case (`/Archive`). Within a name `\/`
 * stands for a slash and `\\` for a backslash. Undefined for anything else.
 */
export function parseFolderName(text: string): FolderName | undefined {
  if (text.startsWith('id:')) {
    const id = text.slice('id:'.length);
    return /^[A-Za-z0-9_=+-]{1,900}$/.test(id) ? { kind: 'id', id } : undefined;
  }
  const fromTop = text.startsWith('/');
  const names = splitPath(fromTop ? text.slice(1) : text);
  const first = names?.[0];
  if (names === undefined || first === undefined || names.length > maxDepth) return undefined;
  const known = first.toLowerCase();
  if (fromTop || !wellKnownNames.has(known)) return { kind: 'path', root: topFolder, names };
  return names.length === 1 ? { kind: 'wellKnown', name: known } : { kind: 'path', root: known, names: names.slice(1) };
}

function splitPath(text: string): readonly string[] | undefined {
  const names: string[] = [];
  let name = '';
  for (let at = 0; at < text.length; at++) {
    const letter = text.charAt(at);
    if (letter === '\\') {
      at += 1;
      const escaped = text.charAt(at);
      if (escaped !== '/' && escaped !== '\\') return undefined;
      name += escaped;
    } else if (letter === '/') {
      names.push(name);
      name = '';
    } else {
      name += letter;
    }
  }
  names.push(name);
  return names.every((each) => each.trim() !== '') ? names : undefined;
}
