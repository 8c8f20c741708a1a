import { startAzurite } from '../azurite.ts';
import { writeThings } from './stored-things.ts';

// Starts Azurite in the given folder, writes to it, says its process id, and waits to be killed.
const azurite = await startAzurite({ location: process.argv[2] ?? '' });
await writeThings(azurite.connectionString);
console.log(azurite.pid);
setInterval(() => undefined, 1_000);
