/** The state of the page before it has asked the service. */

export const INITIAL = {
  status: "loading",
  opened: 0,
  problem: null,
  loading: "",
  missing: null,
  models: [],
  lanes: [],
  active: 0,
  isLinked: false,
  selected: -1,
  view: "unfolded",
  unit: null,
  influence: null,
  forecast: null,
  calls: [],
};
