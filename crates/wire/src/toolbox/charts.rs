//! What code has drawn.

use serde::{Deserialize, Serialize};

use super::ExecuteResponse;

/// The answer of `POST /process/code-run`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CodeRunResponse {
    /// How it ended, and what it wrote.
    #[serde(flatten)]
    pub ended: ExecuteResponse,
    /// What else there is of it; absent when there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<CodeRunArtifacts>,
}

/// What code has made besides text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CodeRunArtifacts {
    /// The figures that it drew with matplotlib, in the order in which they were shown.
    #[serde(default)]
    pub charts: Vec<Chart>,
}

/// A figure.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Chart {
    /// What is known of its axes, if it has one pair of them; of its title and parts, if it has several.
    #[serde(flatten)]
    pub axes: Axes,
    /// Lines, bars and so on; whole charts in one of the type `composite_chart`.
    #[serde(default)]
    pub elements: Vec<ChartElement>,
    /// The picture: PNG in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub png: Option<String>,
}

/// What a pair of axes says. Numbers on axes of dates are days since 1970.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Axes {
    /// `line`, `scatter`, `bar`, `pie`, `box_and_whisker`, `composite_chart` or `unknown`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its heading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The label of the x axis; of bars and boxes that lie, that of the other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x_label: Option<String>,
    /// `linear`, `log`, …, `categorical` or `datetime`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x_scale: Option<String>,
    /// Where the x axis has ticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x_ticks: Option<Vec<f64>>,
    /// What is written at these ticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x_tick_labels: Option<Vec<String>>,
    /// The label of the y axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y_label: Option<String>,
    /// As `x_scale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y_scale: Option<String>,
    /// Where the y axis has ticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y_ticks: Option<Vec<f64>>,
    /// What is written at these ticks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y_tick_labels: Option<Vec<String>>,
}

/// A part of a figure: which fields it has depends on the figure's type.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChartElement {
    /// What is known of the axes of a whole chart that is a part of a figure.
    #[serde(flatten)]
    pub axes: Axes,
    /// The name of a line, a bar, a wedge or a box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The points of a line or of a cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<Vec<Vec<f64>>>,
    /// The name of a bar's group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How long a bar is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// How wide a wedge is, in degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub angle: Option<f64>,
    /// How long a wedge is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius: Option<f64>,
    /// What is written in a wedge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autopct: Option<String>,
    /// Where the lower whisker of a box ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Where a box begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_quartile: Option<f64>,
    /// The line in a box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median: Option<f64>,
    /// Where a box ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub third_quartile: Option<f64>,
    /// Where the upper whisker of a box ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// What lies beyond the whiskers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outliers: Option<Vec<f64>>,
    /// The parts of a chart that is a part itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elements: Option<Vec<Self>>,
    /// The picture of a part, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub png: Option<String>,
}
