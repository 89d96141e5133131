// Short names for the types that the server's OpenAPI file gives (schema.d.ts, made by `npm run api`).
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Overview = Schemas["Overview"];
// As the server shows it: with what follows from its steps.
export type Incident = Schemas["IncidentView"];
export type Stage = Schemas["Stage"];
export type IncidentSummary = Schemas["IncidentSummary"];
export type IncidentState = Schemas["IncidentState"];
export type Detection = Schemas["Detection"];
export type Evidence = Schemas["Evidence"];
export type Group = Schemas["Group"];
export type Severity = Schemas["Severity"];
export type Outcome = Schemas["Outcome"];
export type Process = Schemas["Process"];
export type Kind = Schemas["Kind"];
export type Mode = Schemas["Mode"];
export type Text = Schemas["Text"];
export type Report = Schemas["Report"];
export type Load = Schemas["Load"];
export type Host = Schemas["Host"];
export type Container = Schemas["Container"];
