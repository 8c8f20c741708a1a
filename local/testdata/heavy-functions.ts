import { app } from '@azure/functions';
import { z } from 'zod';

app.http('heavy', { authLevel: 'anonymous', methods: ['GET'], handler: async () => ({ body: typeof z.string() }) });
