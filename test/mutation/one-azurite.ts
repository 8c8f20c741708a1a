import type { TestProject } from 'vitest/node';
import { startAzurite } from '../../local/azurite.ts';

/** What a suite is told of the Azurite that all of them share. */
export interface SharedAzurite {
  readonly connectionString: string;
  readonly blobPort: number;
  readonly queuePort: number;
  readonly tablePort: number;
}

declare module 'vitest' {
  interface ProvidedContext {
    azurite: SharedAzurite;
  }
}

/** Starts the Azurite of a test runner, which ends with it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const azurite = await startAzurite();
  const { connectionString, blobPort, queuePort, tablePort } = azurite;
  project.provide('azurite', { connectionString, blobPort, queuePort, tablePort });
  return () => azurite.stop();
}
