/** All that can go on without the test has done so after these turns of the event loop. */
export async function turns(count = 50): Promise<void> {
  for (let n = 0; n < count; n += 1) await new Promise((resolve) => setImmediate(resolve));
}
