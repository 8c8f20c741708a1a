import { logExpiringSecrets } from '../../shared/accounts/expiring-secrets.ts';
import { logOngoingTrouble } from '../../shared/accounts/ongoing-trouble.ts';
import { cleanUpTopic, recoverTopic } from '../../shared/events/event-grid/housekeeping.ts';
import { handleGivenUpEntry as givenUpDelivery } from '../../shared/events/queue-entry.ts';
import { recoverDeliveries, removeOldDeliveries } from '../../shared/events/webhooks/housekeeping.ts';
import { doubtSummaries, summariseChanged } from '../../shared/http/accounts/summarise.ts';
import { closeDeadRuns, removeOldRuns } from '../../shared/inbox/housekeeping.ts';
import { sweepAll } from '../../shared/inbox/importing/sweep.ts';
import { removeLeftovers } from '../../shared/inbox/ledger/leftovers.ts';
import { runRetention } from '../../shared/inbox/originals/retention.ts';
import { handleGivenUpEntry as givenUpImport } from '../../shared/inbox/queue-entry.ts';
import { scheduleImports } from '../../shared/inbox/schedule.ts';
import { currentBacklog } from '../../shared/inbox/status.ts';
import { recover, recoverEverywhere } from '../../shared/outbox/delivering/recover.ts';
import { resumeReleases } from '../../shared/outbox/delivering/release.ts';
import { removeOldMail } from '../../shared/outbox/housekeeping.ts';
import { handleGivenUpEntry as givenUpMail } from '../../shared/outbox/queue-entry.ts';
import { removeExpiredUploads } from '../../shared/outbox/uploads/uploads.ts';
import { forEachAccount, runIsolated } from '../../shared/platform/isolated-jobs.ts';
import { emptyPoisonQueue } from '../../shared/platform/poison-queue.ts';
import { poisonNames } from '../../shared/platform/storage.ts';
import { tidyStats } from '../../shared/stats/stats.ts';
import type { Job } from './job.ts';

/** Queues an import of each account whose time has come. */
export const importSchedule: Job = ({ inbox }, signal) => scheduleImports(inbox, { signal });

/** Takes up what nobody works on any more: mail, events on their way, messages in the poison queues, subscriptions. */
export const outboxRecovery: Job = async (services, signal) => {
  const { outbox, inbox, webhooks, topic, poison, pushSchedule } = services;
  const options = { signal };
  const { send, import: imports, webhooks: events } = poisonNames;
  await runIsolated({
    givenUpMail: async () =>
      emptyPoisonQueue(await poison(send), send, (given) => givenUpMail(outbox, given, options), options),
    givenUpImports: async () =>
      emptyPoisonQueue(await poison(imports), imports, (given) => givenUpImport(inbox, given, options), options),
    givenUpEvents: async () => emptyPoisonQueue(await poison(events), events, givenUpDelivery, options),
    mail: () => recover(outbox, { signal }),
    webhooks: () => recoverDeliveries(webhooks, { signal }),
    topic: () => recoverTopic(topic, { signal }),
    subscriptions: () => pushSchedule.run({ signal }),
    summaries: () => summariseChanged(services, { signal }),
  });
};

/** Goes on with releases of waiting mail that no queue message is left for. */
export const outboxRelease: Job = ({ outbox }, signal) => resumeReleases(outbox, { signal });

/** Compares each mailbox with its ledger, for mail that a listing of changes has left out; and has all summaries written anew. */
export const sweep: Job = async (services, signal) => {
  await runIsolated({
    summaries: () => doubtSummaries(services, { signal }),
    mailboxes: () => sweepAll(services.inbox, { signal }),
  });
};

/** Many small jobs under one timer, apart from each other: each timer is an instance of its own on Flex Consumption. */
export const retention: Job = async (services, signal) => {
  const { inbox, outbox, settings, accounts, assets, secrets, webhooks, topic, stats } = services;
  const { outboxRetentionDays: mimeDays, recordRetentionDays: recordDays, assetRetentionDays } = settings;
  await runIsolated({
    endingSecrets: () => logExpiringSecrets(accounts, secrets, inbox.clock, { signal }),
    standingTrouble: () => logOngoingTrouble(accounts, inbox.health, { signal }),
    originals: () => runRetention(inbox, { signal }),
    openMail: () => recoverEverywhere(outbox, { signal }),
    mail: () => removeOldMail(outbox, { mimeDays, recordDays }, { signal }),
    uploads: () => removeExpiredUploads(outbox, { signal }),
    webhooks: () => removeOldDeliveries(webhooks, { signal }),
    topic: () => cleanUpTopic(topic, { signal }),
    leftovers: () => removeLeftovers(inbox, { signal }),
    deadRuns: () => closeDeadRuns(inbox, { signal }),
    runs: () => removeOldRuns(inbox, recordDays, { signal }),
    stats: async () => {
      const tidy = async (account: string) => {
        await tidyStats(stats, account, { signal });
        const backlog = await currentBacklog(inbox, account, { signal });
        if (backlog !== undefined) await inbox.dayCounts.noteBacklog(account, inbox.clock.now(), backlog);
      };
      await forEachAccount(await accounts.everyName({ signal }), tidy, { signal, task: 'stats' });
    },
    assets: async () => {
      if (assetRetentionDays === undefined) return;
      await assets.deleteOlderThan(await accounts.everyName({ signal }), assetRetentionDays, inbox.clock, { signal });
    },
  });
};
