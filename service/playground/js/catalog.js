/** The models that are served, with their versions and schemas. */

import { call, modelAddress } from "./api.js";
import { readModel } from "./model.js";

/** Names of the served models. */
export async function listModels() {
  return (await call("GET", "v1/models")).models;
}

/** What a model takes and answers; the newest version where none is named. */
export async function loadModel(name, version = "") {
  const metadata = await call("GET", `${modelAddress({ name, version })}/metadata`);
  return readModel(metadata, version);
}

/** Every version of every model: `{name, version, isOnly, model}`, the newest first. */
export async function listVersions(names) {
  // A model that was unloaded meanwhile takes none of the others with it.
  const all = await Promise.all(names.map((name) => versionsOf(name).catch(() => [])));
  return all.flat();
}

async function versionsOf(name) {
  const { model_version_status: statuses } = await call("GET", modelAddress({ name }));
  const served = statuses.filter(({ state }) => state === "AVAILABLE");
  const isOnly = served.length === 1;
  return Promise.all(
    served.map(async ({ version }) => ({ name, version, isOnly, model: await loadModel(name, version) })),
  );
}
