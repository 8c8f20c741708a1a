import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** A program that a section cannot do without. */
interface Program {
  readonly name: string;
  readonly installedBy: string;
}

/** The mail server that is imported from. */
export const dovecot: Program = {
  name: 'dovecot',
  installedBy: 'apt-get install dovecot-imapd dovecot-pop3d dovecot-lmtpd',
};

/** The browser that the console is looked at with. */
export const chromium: Program = { name: 'chromium', installedBy: 'apt-get install chromium' };

/** What is missing of some programs, as a sentence with how to install it; undefined: nothing. */
export async function missing(programs: readonly Program[]): Promise<string | undefined> {
  const found = await Promise.all(programs.map(({ name }) => isInstalled(name)));
  const absent = programs.filter((_, index) => !found[index]);
  if (absent.length === 0) return undefined;
  return absent.map(({ name, installedBy }) => `needs ${name} (Debian: ${installedBy})`).join(', ');
}

async function isInstalled(name: string): Promise<boolean> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  const found = folders.map((folder) => access(join(folder, name), constants.X_OK));
  return await Promise.any(found).then(
    () => true,
    () => false,
  );
}
