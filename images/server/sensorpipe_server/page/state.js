/** Facility, range and zoom, as the address of the page holds them. */

const RANGES = ["15m", "1h", "6h", "24h", "7d", "30d"];

export function fromAddress() {
  const query = new URLSearchParams(location.search);
  const [range, from, to] = ["range", "from", "to"].map((name) => query.get(name));
  const zoom = [from, to].map((time) => Date.parse(time));
  return {
    facility: query.get("facility") ?? "",
    range: RANGES.includes(range) ? range : "1h",
    zoom: zoom[0] < zoom[1] ? zoom : null,
  };
}

export function link({ facility, range, zoom }) {
  const [from, to] = (zoom ?? []).map((ms) => new Date(ms).toISOString());
  return `?${new URLSearchParams({ facility, range, ...(zoom && { from, to }) })}`;
}
