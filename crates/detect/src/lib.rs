//! Events in, detections, incidents and plans out
