/**
 * Races one promise after the other against one that lasts, such as the reply to something that is sent piece by piece.
 * `Promise.race` would keep the outcome of each until the lasting one has settled: all pieces of a large mail, say.
 *
 * The function that is answered takes one promise at a time, and answers or throws as whichever settles first. Once the
 * lasting one has settled, that is the lasting one.
 */
export function raceWith<L>(lasting: Promise<L>): <T>(work: Promise<T>) => Promise<T | L> {
  let settled = false;
  let wake: (() => void) | undefined;
  const settle = () => {
    settled = true;
    wake?.();
    wake = undefined;
  };
  lasting.then(settle, settle);
  return (work) =>
    new Promise((resolve, reject) => {
      // Also where nobody waits for it any more: its failure is then nobody's.
      work.then(resolve, reject);
      if (settled) resolve(lasting);
      else wake = () => resolve(lasting);
    });
}
