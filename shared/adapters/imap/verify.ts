import type { NetworkPolicy } from '../net/mail-network.ts';
import { StoreError, type VerifyStoreOptions } from '../store.ts';
import { adviceOf } from '../store-troubles.ts';
import { endpointOf, serverSteps } from '../verify/server-steps.ts';
import { SignInStep } from '../verify/sign-in-step.ts';
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
  options: VerifyStoreOptions & { readonly network: NetworkPolicy | undefined },
): Promise<readonly Step[]> {
  const { signal, network, changes } = options;
  const folders = async () => [...options.folders, ...(options.moveTo === undefined ? [] : [options.moveTo])];
  return verifyFolders(config, { signal, network, open, folders, needs: changes ? changing : reading });
}

/** How a verification reaches the folder that mail is appended to. */
export interface VerifyAppendOptions {
  readonly signal: AbortSignal;
  readonly network: NetworkPolicy | undefined;
  open(signal: AbortSignal): Promise<ImapConnection>;
  /** The folder that mail is appended to; undefined where it is made with the first mail. */
  folder(connection: ImapConnection, signal: AbortSignal): Promise<string | undefined>;
}

/** Tries whether an account can append to its folder. Nothing is appended. */
export function verifyAppend(config: ImapConnectionConfig, options: VerifyAppendOptions): Promise<readonly Step[]> {
  const { signal, network, open, folder } = options;
  const folders = async (connection: ImapConnection) => {
    const found = await folder(connection, signal);
    return found === undefined ? [] : [found];
  };
  return verifyFolders(config, { signal, network, open, folders, needs: adding });
}

interface Needs {
  /** RFC 4314 section 4. */
  readonly rights: string;
  readonly without: string;
  /** Said where the server does not give rights. */
  readonly unknown: string;
}

const reading: Needs = {
  rights: 'lr',
  without: 'without them the folder cannot be imported',
  unknown: 'The server does not list rights (RFC 4314); the next step shows whether the folders can be opened.',
};
const changing: Needs = {
  rights: 'lrswte',
  without: 'or leave mails as they are (markRead false, delete never)',
  unknown:
    'The server does not list rights (RFC 4314). Whether originals may be marked, moved or deleted shows at the first import.',
};
const adding: Needs = {
  rights: 'li',
  without: 'without them no mail can be added',
  unknown: 'The server does not list rights (RFC 4314). Whether mail may be added shows when one is sent.',
};

interface FoldersToVerify {
  readonly signal: AbortSignal;
  readonly network: NetworkPolicy | undefined;
  readonly needs: Needs;
  open(signal: AbortSignal): Promise<ImapConnection>;
  folders(connection: ImapConnection): Promise<readonly string[]>;
}

async function verifyFolders(config: ImapConnectionConfig, options: FoldersToVerify): Promise<readonly Step[]> {
  const { signal, needs, open } = options;
  const signIn = new SignInStep(config.auth, () => open(signal));
  try {
    return await tryInOrder(
      [
        ...serverSteps(endpointOf(config, options.network), signal),
        signIn,
        {
          step: 'permission',
          run: async () => permission(signIn.connection, await options.folders(signIn.connection), needs, signal),
        },
        { step: 'folder', run: async () => find(signIn.connection, await options.folders(signIn.connection), signal) },
      ],
      storeFailure,
    );
  } finally {
    await signIn.opened?.close();
  }
}

/** RFC 4314: rights are known where the server has ACL. A folder that is not there is the next step's finding. */
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
  const hint = adviceOf(first);
  return { status: 'failed', code: first.code, hint, detail: missing.map(({ message }) => message).join('; ') };
}
