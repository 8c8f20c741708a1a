import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { startAzurite } from '../../local/azurite.ts';
import { containerNames, storageClients } from '../../shared/platform/storage.ts';
import { CorpusCount, checkInFolder } from './check-in-folder.ts';

const usage = `Checks in every mail of a folder, and of the folders in it, into Azurite, and prints what was read of it.

  npm run -s corpus -- FOLDER

Each mail is a file. One line of JSON a file, and a last line with a summary. Hidden files, README and LICENSE are
no mails. Exits 1 where stored bytes are not those of the file.`;

/** Prints a line for each mail of `folder`; answers whether the stored bytes are those of the files. */
async function run(folder: string): Promise<boolean> {
  if (!(await stat(folder)).isDirectory()) throw new Error(`${folder} is no folder`);
  // On the disk: a corpus may be larger than the memory.
  const location = await mkdtemp(join(tmpdir(), 'mailroom-corpus-'));
  const azurite = await startAzurite({ location });
  try {
    const { connectionString } = azurite;
    const storage = storageClients({ kind: 'connectionString', connectionString }, async () => {
      throw new Error('Azurite is opened by its connection string');
    });
    const container = await storage.container(containerNames.assets);
    const count = new CorpusCount();
    for await (const line of checkInFolder(folder, container)) {
      count.add(line);
      console.log(JSON.stringify(line));
    }
    console.log(JSON.stringify(count.summary));
    return count.summary.summary.bytesDiffer === 0;
  } finally {
    await azurite.stop();
    await rm(location, { recursive: true, force: true });
  }
}

const [folder, ...others] = process.argv.slice(2);
if (folder === undefined || folder.startsWith('-') || others.length > 0) {
  console.error(usage);
  process.exitCode = 1;
} else {
  try {
    if (!(await run(resolve(folder)))) process.exitCode = 1;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
