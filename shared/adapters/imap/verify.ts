import { StoreError, type VerifyStoreOptions } from '../store.ts';
import { endpointOf, serverSteps } from '../verify/server-steps.ts';
import { type Finding, type Step, tryInOrder } from '../verify/steps.ts';
import { storeFailure } from '../verify/store-steps.ts';
import type { ImapConnection } from './connection.ts';
import type { ImapConnectionConfig } from './library-options.ts';
import { Mailbox } from './mailbox.ts';
import { folderRights } from './rights.ts';

/** Tries whether an account can import from an IMAP server. Folders are opened by EXAMINE, which changes nothing. */
export function verifyImapStore(
  config: ImapConnectionConfig,
  open: (signal: AbortSignal) => Promise<ImapConnection>,
  options: VerifyStoreOptions,
): Promise<readonly Step[]> {
  const { signal, changes } = options;
  const folders = async () => [...options.folders, ...(options.moveTo === undefined ? [] : [options.moveTo])];
  return verifyFolders(config, { signal, open, folders, needs: changes ? changing : reading });
}

export interface VerifyAppendOptions {
  readonly signal: AbortSignal;
  open(signal: AbortSignal): Promise<ImapConnection>;
  /** The folder that mail is appended to; undefined where it is made with the first mail. */
  folder(connection: ImapConnection, signal: AbortSignal): Promise<string | undefined>;
}

/** Tries whether an account can append to its folder. Nothing is appended. */
export function verifyAppend(config: ImapConnectionConfig, options: VerifyAppendOptions): Promise<readonly Step[]> {
  const { signal, open, folder } = options;
  const folders = async (connection: ImapConnection) => {
    const found = await folder(connection, signal);
    return found === undefined ? [] : [found];
  };
  return verifyFolders(config, { signal, open, folders, needs: adding });
}

interface Needs {
  /** RFC 4314 section 4. */
  readonly rights: string;
  readonly without: string;
  /** Said where the server does not tell rights. */
  readonly unknown: string;
}

const reading: Needs = {
  rights: 'lr',
  without: 'without them the folder cannot be imported',
  unknown: 'The server does not tell rights; that the folders can be opened is the next step.',
};
const changing: Needs = {
  rights: 'lrswte',
  without: 'or leave mails as they are (markRead false, delete never)',
  unknown:
    'The server does not tell rights. Whether originals may be marked, moved or deleted shows at the first import.',
};
const adding: Needs = {
  rights: 'li',
  without: 'without them no mail can be added',
  unknown: 'The server does not tell rights. Whether mail may be added shows when one is sent.',
};

interface FoldersToVerify {
  readonly signal: AbortSignal;
  readonly needs: Needs;
  open(signal: AbortSignal): Promise<ImapConnection>;
  folders(connection: ImapConnection): Promise<readonly string[]>;
}

async function verifyFolders(config: ImapConnectionConfig, options: FoldersToVerify): Promise<readonly Step[]> {
  const { signal, needs, open } = options;
  let connection: ImapConnection | undefined;
  const connected = () => {
    if (!connection) throw new Error('the sign-in comes first');
    return connection;
  };
  try {
    return await tryInOrder(
      [
        ...serverSteps(endpointOf(config), signal),
        {
          step: 'signIn',
          run: async () => {
            connection = await open(signal);
            return config.auth.type === 'none' ? {} : { detail: `as ${config.auth.user}` };
          },
        },
        {
          step: 'permission',
          run: async () => permission(connected(), await options.folders(connected()), needs, signal),
        },
        { step: 'folder', run: async () => find(connected(), await options.folders(connected()), signal) },
      ],
      storeFailure,
    );
  } finally {
    await connection?.close();
  }
}

/** RFC 4314: rights are told where the server has ACL. A folder that is not there is the next step's finding. */
async function permission(
  connection: ImapConnection,
  folders: readonly string[],
  needs: Needs,
  signal: AbortSignal,
): Promise<Finding> {
  if (!connection.has('ACL') || folders.length === 0) return { status: 'unknown', hint: needs.unknown };
  for (const folder of folders) {
    const rights = await folderRights(connection, folder, signal);
    const missing = rights === undefined ? [] : [...needs.rights].filter((right) => !rights.has(right));
    if (missing.length > 0) {
      const hint = `Give the user the rights ${missing.join('')} in ${JSON.stringify(folder)} (RFC 4314), ${needs.without}.`;
      return { status: 'failed', code: 'NOPERM', hint };
    }
  }
  return { detail: `rights ${needs.rights}` };
}

async function find(connection: ImapConnection, folders: readonly string[], signal: AbortSignal): Promise<Finding> {
  if (folders.length === 0) return { detail: 'there is none yet: it is made with the first mail' };
  const mailbox = new Mailbox(connection);
  const found: string[] = [];
  const missing: StoreError[] = [];
  for (const folder of folders) {
    try {
      const { exists } = await mailbox.select(folder, signal);
      found.push(`${folder}: ${exists}`);
    } catch (error) {
      if (!(error instanceof StoreError && error.kind === 'folderMissing')) throw error;
      missing.push(error);
    }
  }
  const [first] = missing;
  if (!first) return { detail: `mails in ${found.join(', ')}` };
  const { code, hint } = first;
  return { status: 'failed', code, hint, detail: missing.map(({ message }) => message).join('; ') };
}
