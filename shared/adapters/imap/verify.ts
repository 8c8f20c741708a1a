import { StoreError, type VerifyStoreOptions } from '../store.ts';
import { endpointOf, serverSteps } from '../verify/server-steps.ts';
import { type Finding, type Step, tryInOrder } from '../verify/steps.ts';
import { storeFailure } from '../verify/store-steps.ts';
import type { ImapConnection } from './connection.ts';
import type { ImapConnectionConfig } from './library-options.ts';
import { Mailbox } from './mailbox.ts';
import { folderRights } from './rights.ts';

/** What an import needs to change flags and remove mail (RFC 4314 section 4): seen flag, other flags, delete, expunge. */
const changeRights = 'swte';

/** What it needs to read. */
const readRights = 'lr';

/** Tries whether an account can import from an IMAP server. Folders are opened by EXAMINE, which changes nothing. */
export async function verifyImapStore(
  config: ImapConnectionConfig,
  open: (signal: AbortSignal) => Promise<ImapConnection>,
  options: VerifyStoreOptions,
): Promise<readonly Step[]> {
  const { signal } = options;
  const folders = [...options.folders, ...(options.moveTo === undefined ? [] : [options.moveTo])];
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
        { step: 'permission', run: () => permission(connected(), folders, options) },
        { step: 'folder', run: () => find(connected(), folders, signal) },
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
  { changes, signal }: VerifyStoreOptions,
): Promise<Finding> {
  const wanted = changes ? readRights + changeRights : readRights;
  if (!connection.has('ACL')) {
    const hint = changes
      ? 'The server does not tell rights. Whether originals may be marked, moved or deleted shows at the first import.'
      : 'The server does not tell rights.';
    return { status: 'unknown', hint };
  }
  for (const folder of folders) {
    const rights = await folderRights(connection, folder, signal);
    const missing = rights === undefined ? [] : [...wanted].filter((right) => !rights.has(right));
    if (missing.length > 0) {
      const hint = `Give the user the rights ${missing.join('')} in ${JSON.stringify(folder)} (RFC 4314), or leave mails as they are (markRead false, delete never).`;
      return { status: 'failed', code: 'NOPERM', hint };
    }
  }
  return { detail: `rights ${wanted}` };
}

async function find(connection: ImapConnection, folders: readonly string[], signal: AbortSignal): Promise<Finding> {
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
