import { expectedByCode } from './expected.ts';
import { deploy } from './read/deployment.ts';
import type { Value } from './read/functions.ts';
import { InfraError, type Program } from './read/program.ts';
import { identityOnly, roleAssignments, signIn } from './rules/access.ts';
import { alertRules } from './rules/alerts.ts';
import { allowedNames, alwaysThere, audited, knownVersions, publicAccess } from './rules/always.ts';
import { appConfig, settingsAreTaken, settingsOfApp, settingsOfHost } from './rules/app.ts';
import { eventGrid } from './rules/event-grid.ts';
import { privateNetwork } from './rules/network.ts';
import { lifecycle, storageNames } from './rules/storage.ts';
import type { Rule } from './rules/subject.ts';
import { cleanTemplates, parametersAndOutputs } from './rules/templates.ts';
import { workbook } from './rules/workbook.ts';

const rules: readonly Rule[] = [
  alwaysThere,
  publicAccess,
  knownVersions,
  allowedNames,
  audited,
  roleAssignments,
  identityOnly,
  signIn,
  storageNames,
  lifecycle,
  settingsOfApp,
  settingsOfHost,
  settingsAreTaken,
  appConfig,
  privateNetwork,
  eventGrid,
  alertRules,
  workbook,
];

const required = { environmentName: 'test', location: 'westeurope' };

/** The parameters that every rule is tried with: only those that must be given, and all that switches something on. */
export const parameterSets: readonly { readonly everything: boolean; readonly values: Record<string, Value> }[] = [
  { everything: false, values: required },
  {
    everything: true,
    values: {
      ...required,
      environmentName: 'x'.repeat(64),
      vnetEnabled: true,
      signInClientId: '00000000-0000-0000-0000-000000000001',
      alertEmail: 'operators@example.com',
      graphEndpoint: 'https://graph.example.com',
      authorityHost: 'https://login.example.com',
      publicUrl: 'https://mail.example.com',
      eventGridTopic: true,
      eventsQueue: false,
      webhookAllowedNetworks: '10.1.0.0/16',
      outboxMaxWaiting: 10000,
      assetRetentionDays: 365,
      outboxRetentionDays: 400,
      httpAlwaysReady: 1,
    },
  },
];

/** What is wrong with a deployment, one line each, whichever reader the program came from. */
export function findings(program: Program): readonly string[] {
  const expected = expectedByCode();
  const found = new Set([...parametersAndOutputs(program), ...cleanTemplates(program)]);
  for (const { everything, values } of parameterSets) {
    try {
      const subject = { deployment: deploy(program, values), expected, everything };
      for (const rule of rules) for (const finding of rule(subject)) found.add(finding);
    } catch (error) {
      if (!(error instanceof InfraError)) throw error;
      found.add(error.message);
    }
  }
  return [...found];
}
