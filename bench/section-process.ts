import { z } from 'zod';
import { serve } from './child.ts';
import { sectionOf } from './sections.ts';

/** Measures one section in a process of its own: whatever it leaves behind ends with that. */
serve(import.meta, z.object({ name: z.string(), quick: z.boolean() }), async ({ name, quick }) => {
  const measure = await sectionOf(name).measure();
  return await measure({ quick });
});
