import { accessMistakes } from './access.ts';
import { appMistakes } from './app.ts';
import type { Mistake } from './mistake.ts';
import { operationMistakes } from './operation.ts';
import { storageMistakes } from './storage.ts';

/** Bicep has nothing against these. */
export const mistakes: readonly Mistake[] = [
  ...storageMistakes,
  ...accessMistakes,
  ...appMistakes,
  ...operationMistakes,
];
