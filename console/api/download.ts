import type { Outcome } from './problem.ts';

/** How long the bytes stay for the browser to take them, in ms. */
const takenMs = 60_000;

/** Saves an answer as a file. It is never opened: whatever it is, to the browser it is bytes. */
export async function saveAs(name: string, answer: Promise<Outcome<Blob>>): Promise<Outcome<Blob>> {
  const got = await answer;
  if (!got.ok) return got;
  const address = URL.createObjectURL(new Blob([got.data], { type: 'application/octet-stream' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), takenMs);
  return got;
}
